import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { looksLikeSafetensors, openSafetensors } from '../../src/checkpoint/safetensors.js';
import { type NamedTensor, writeSafetensors } from '../../src/checkpoint/safetensors-writer.js';
import { InputError } from '../../src/errors.js';
import { digests, entries, fixture, jsonFixture } from './digests.js';
import { fuzz } from './fuzz.js';

/** What safetensors reads but the format's own text forbids ("must begin with a { character"). */
const STRICTER_THAN_REFERENCE = new Set(['header-space-first']);

const goldens = await jsonFixture('goldens/torch-tensors.json');
const cases = await jsonFixture('safetensors/cases.json');
const sharedFolder = process.env.RECGEMMA_SHARED;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recgemma-safetensors-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function digestsOf(path: string): Promise<Map<string, unknown>> {
  const checkpoint = await openSafetensors(path);
  try {
    return await digests(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/** A file of the given header and data. */
async function write(name: string, header: unknown, data: Uint8Array): Promise<string> {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const path = join(folder, name);
  await writeFile(path, Buffer.concat([length, text, data]));
  return path;
}

describe('golden checkpoints', () => {
  for (const name of ['hf-bf16', 'hf-sharded-bf16']) {
    it(`reads rg-tiny/${name} as safetensors does`, async () => {
      const path = fixture(`goldens/checkpoints/rg-tiny/${name}`);
      assert.deepEqual(await digestsOf(path), entries(goldens.get(`rg-tiny/${name}`)));
    });
  }

  it('opens a folder, the file in it, and an index alike', async () => {
    const single = fixture('goldens/checkpoints/rg-tiny/hf-bf16');
    const sharded = fixture('goldens/checkpoints/rg-tiny/hf-sharded-bf16');
    const expected = entries(goldens.get('rg-tiny/hf-bf16'));
    assert.deepEqual(await digestsOf(join(single, 'model.safetensors')), expected);
    assert.deepEqual(
      await digestsOf(join(sharded, 'model.safetensors.index.json')),
      entries(goldens.get('rg-tiny/hf-sharded-bf16')),
    );
  });

  it('lists every file that the tensors came from', async () => {
    const path = fixture('goldens/checkpoints/rg-tiny/hf-sharded-bf16');
    const checkpoint = await openSafetensors(path);
    await checkpoint.close();
    assert.equal(checkpoint.path, path);
    const names = (await readdir(path)).filter((name) => name.startsWith('model'));
    assert.deepEqual(checkpoint.files.toSorted(), names.map((name) => resolve(path, name)).toSorted());
  });

  const shared = [...goldens.keys()].filter((path) => /\/hf-(sharded-)?b?f\d+$/.test(path));
  it('reads the forms of every family', {
    skip: sharedFolder === undefined && 'RECGEMMA_SHARED is not set',
  }, async () => {
    assert.equal(shared.length, 15);
    for (const path of shared) {
      const found = await digestsOf(join(sharedFolder!, 'goldens/checkpoints', path));
      assert.deepEqual(found, entries(goldens.get(path)), path);
    }
  });
});

describe('verdicts of the reference implementation', () => {
  for (const [name, verdict] of cases) {
    const { error, metadata, tensors } = verdict as { error?: string; metadata?: object; tensors?: object };
    const path = fixture(`safetensors/${name}.safetensors`);
    if (error === undefined && !STRICTER_THAN_REFERENCE.has(name)) {
      it(`accepts ${name}`, async () => {
        const checkpoint = await openSafetensors(path);
        const found = await digests(checkpoint);
        await checkpoint.close();
        assert.deepEqual(found, entries(tensors));
        assert.deepEqual(checkpoint.metadata, entries(metadata));
      });
    } else {
      it(`refuses ${name}`, async () => {
        await assert.rejects(openSafetensors(path), (thrown) => {
          assert.ok(thrown instanceof InputError);
          assert.ok(thrown.message.includes(path), thrown.message);
          const tensor = /tensor `(.*)`/.exec(error ?? '')?.[1];
          if (tensor !== undefined) assert.ok(thrown.message.includes(`"${tensor}"`), thrown.message);
          return true;
        });
      });
    }
  }
});

it('refuses a type that is a list nested 100 000 deep', async () => {
  const depth = 100_000;
  const text = `{"a":{"dtype":${'['.repeat(depth)}${']'.repeat(depth)},"shape":[],"data_offsets":[0,0]}}`;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const path = join(folder, 'nested.safetensors');
  await writeFile(path, Buffer.concat([length, Buffer.from(text)]));
  await assert.rejects(openSafetensors(path), {
    name: 'InputError',
    message: /"a" .* something that is not text/,
  });
});

describe('sharded checkpoints', () => {
  const shard = fixture('safetensors/good.safetensors');

  /** A folder with an index of the given map, and copies of a shard that holds `a` and `b`. */
  async function sharded(name: string, weightMap: unknown, shards: readonly string[]): Promise<string> {
    const path = join(folder, name);
    await mkdir(path);
    for (const file of shards) await copyFile(shard, join(path, file));
    await writeFile(join(path, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    return path;
  }

  it('keeps tensors that the index does not list', async () => {
    const path = await sharded('extra', { a: 'x.safetensors' }, ['x.safetensors']);
    assert.deepEqual([...(await digestsOf(path)).keys()], ['a', 'b']);
  });

  const bad: [name: string, weightMap: unknown, shards: string[], message: RegExp][] = [
    ['missing shard', { a: 'x', b: 'y' }, ['x'], /There is no file .*y\./],
    ['tensor in no shard', { a: 'x', c: 'x' }, ['x'], /"c" is in x, but it is not/],
    ['tensor in another shard', { a: 'y', b: 'x', z: 'y' }, ['x', 'y'], /Both x and y|Both y and x/],
    ['tensor in two shards', { a: 'x', b: 'y' }, ['x', 'y'], /hold the tensor "a"/],
    ['parent folder', { a: '../x' }, [], /"a" in "..\/x", which is not the name of a file beside it/],
    ['parent folder of Windows', { a: '..\\x' }, [], /not the name of a file/],
    ['parent folder itself', { a: '..' }, [], /not the name of a file/],
    ['absolute path', { a: '/etc/passwd' }, [], /not the name of a file/],
    ['shard that is no text', { a: 1 }, [], /not the name of a file/],
    ['folder as shard', { a: '.' }, [], /not the name of a file/],
    ['empty map', {}, [], /no "weight_map"/],
    ['list for a map', ['x'], ['x'], /no "weight_map"/],
    [
      'too many shards',
      Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`t${n}`, `s${n}`])),
      [],
      /600 shards/,
    ],
  ];
  for (const [name, weightMap, shards, message] of bad) {
    it(`refuses: ${name}`, async () => {
      const path = await sharded(name.replaceAll(' ', '-'), weightMap, shards);
      await assert.rejects(openSafetensors(path), (error) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, message);
        assert.ok(error.message.includes(path), error.message);
        return true;
      });
    });
  }

  it('refuses an index that is not JSON', async () => {
    const path = join(folder, 'broken.safetensors.index.json');
    await writeFile(path, '{"weight_map": {');
    await assert.rejects(openSafetensors(path), {
      name: 'InputError',
      message: `${path} is not valid JSON.`,
    });
  });
});

describe('large and changing files', () => {
  it('streams a tensor of several pieces without mixing them up', async () => {
    const data = randomBytes(9 * 2 ** 20 + 6);
    const path = await write(
      'large.safetensors',
      { a: { dtype: 'F16', shape: [data.length / 2], data_offsets: [0, data.length] } },
      data,
    );
    const expected = createHash('sha256').update(data).digest('hex').slice(0, 32);
    assert.deepEqual((await digestsOf(path)).get('a'), ['float16', [data.length / 2], expected]);

    const checkpoint = await openSafetensors(path);
    const reader = checkpoint.tensors.get('a')!.read()[Symbol.asyncIterator]();
    const { value } = await reader.next();
    assert.ok(value!.length < data.length && value!.length % 8 === 0);
    await reader.return?.(undefined); // a receiver may stop early, and close at once
    await checkpoint.close();
  });

  it('finds a tensor beyond 4 GiB', async () => {
    const mark = Buffer.from('the end!');
    const bytes = 5 * 2 ** 30;
    const path = await write(
      'sparse.safetensors',
      {
        huge: { dtype: 'BF16', shape: [bytes / 2], data_offsets: [0, bytes] },
        last: { dtype: 'F32', shape: [2], data_offsets: [bytes, bytes + mark.length] },
      },
      Buffer.alloc(0),
    );
    const file = await open(path, 'r+');
    const { size } = await file.stat();
    await file.truncate(size + bytes + mark.length);
    await file.write(mark, 0, mark.length, size + bytes);
    await file.close();

    const checkpoint = await openSafetensors(path);
    const pieces: Buffer[] = [];
    for await (const piece of checkpoint.tensors.get('last')!.read()) pieces.push(Buffer.from(piece));
    await checkpoint.close();
    await rm(path);
    assert.equal(Buffer.concat(pieces).toString(), 'the end!');
    assert.deepEqual(checkpoint.tensors.get('huge')!.shape, [bytes / 2]);
  });

  it('names the tensor when the file is cut off after it was opened', async () => {
    const path = join(folder, 'shrinking.safetensors');
    await copyFile(fixture('safetensors/good.safetensors'), path);
    const checkpoint = await openSafetensors(path);
    await truncate(path, (await stat(path)).size - 12);
    await assert.rejects(digests(checkpoint), (error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, /shrinking\.safetensors ends before the tensor "[ab]" does/);
      return true;
    });
    await checkpoint.close();
  });
});

describe('looksLikeSafetensors', () => {
  it('goes by the content of a file', async () => {
    const copy = join(folder, 'renamed.dat');
    await copyFile(fixture('safetensors/good.safetensors'), copy);
    assert.equal(await looksLikeSafetensors(copy), true);
    for (const path of [
      'safetensors/header-max.safetensors',
      'safetensors/header-array.safetensors',
      'torch/tied.pt',
    ]) {
      assert.equal(await looksLikeSafetensors(fixture(path)), false, path);
    }
    for (const path of [
      'safetensors/header-too-short.safetensors',
      'nothing.safetensors',
      'torch/expected.json',
    ]) {
      assert.equal(await looksLikeSafetensors(fixture(path)), false, path);
    }
  });

  it('knows folders and indices', async () => {
    const found = await Promise.all(
      ['hf-bf16', 'hf-sharded-bf16', 'hf-sharded-bf16/model.safetensors.index.json', 'hf-bin-f32', ''].map(
        (name) => {
          return looksLikeSafetensors(fixture(`goldens/checkpoints/rg-tiny/${name}`));
        },
      ),
    );
    assert.deepEqual(found, [true, true, true, false, false]);
  });
});

describe('writeSafetensors', () => {
  it('writes byte for byte what the reference writes', async () => {
    const source = fixture('safetensors/dtypes.safetensors');
    const checkpoint = await openSafetensors(source);
    const tensors: NamedTensor[] = [];
    for (const [name, { dtype, shape, read }] of checkpoint.tensors) {
      const pieces: Uint8Array[] = [];
      for await (const piece of read()) pieces.push(Uint8Array.from(piece));
      tensors.push([name, dtype, shape, Buffer.concat(pieces)]);
    }
    await checkpoint.close();
    const path = join(folder, 'written.safetensors');
    await writeSafetensors(path, tensors, checkpoint.metadata);
    assert.deepEqual(await readFile(path), await readFile(source));
  });

  it('leaves the old file, and no other, when it fails', async () => {
    const path = join(folder, 'kept', 'state.safetensors');
    await mkdir(join(folder, 'kept'));
    await writeSafetensors(path, [['a', 'uint8', [2], Uint8Array.of(1, 2)]]);
    const wrong: NamedTensor[] = [['a', 'float32', [2], Uint8Array.of(1, 2)]];
    await assert.rejects(writeSafetensors(path, wrong), /a: float32 \[2\] does not take 2 bytes/);
    assert.deepEqual(await readdir(join(folder, 'kept')), ['state.safetensors']);
    assert.equal((await digestsOf(path)).size, 1);
  });
});

it('survives damaged files', async () => {
  const options = { folder, rounds: 300, within: 600 };
  let refused = 0;
  for (const [seed, name] of ['good-metadata', 'good-zero-size', 'dtypes'].entries()) {
    refused += await fuzz(fixture(`safetensors/${name}.safetensors`), openSafetensors, { ...options, seed });
  }
  const golden = fixture('goldens/checkpoints/rg-tiny/hf-bf16/model.safetensors');
  refused += await fuzz(golden, openSafetensors, { ...options, seed: 7, rounds: 100, within: 20_000 });
  assert.ok(refused > 500, `only ${refused} refused`);
});
