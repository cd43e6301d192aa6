import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { looksLikeTorch, openTorch } from '../../src/checkpoint/torch/torch.js';
import { InputError } from '../../src/errors.js';
import { digests, entries, fixture, jsonFixture } from './digests.js';
import { fuzz } from './fuzz.js';

const goldens = await jsonFixture('goldens/torch-tensors.json');
const expected = await jsonFixture('torch/expected.json');
const readable = entries(expected.get('readable'));
const sharedFolder = process.env.RECGEMMA_SHARED;

/** What the fixtures that call `os.system` would leave behind. */
const TRACE = '/tmp/recgemma-was-here';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recgemma-torch-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function digestsOf(path: string): Promise<Map<string, unknown>> {
  const checkpoint = await openTorch(path);
  try {
    return await digests(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/** Asserts that a file is refused by an InputError that names it and says what is wrong. */
async function assertRefused(path: string, problem: RegExp): Promise<void> {
  await assert.rejects(openTorch(path), (error) => {
    assert.ok(error instanceof InputError, String(error));
    assert.match(error.message, problem);
    assert.ok(error.message.includes(path), error.message);
    return true;
  });
}

describe('golden checkpoints', () => {
  const names = [
    'hf-bin-f32',
    'dmtorch-bf16.pt',
    'dmtorch-strided-f32.pt',
    'dmtorch-legacy-bf16.pt',
    'dmtorch-example-bf16.pt',
  ];
  for (const name of names) {
    it(`reads rg-tiny/${name} as PyTorch does`, async () => {
      const found = await digestsOf(fixture(`goldens/checkpoints/rg-tiny/${name}`));
      assert.deepEqual(found, entries(goldens.get(`rg-tiny/${name}`)));
    });
  }

  it('reads the configuration that the official example saves', async () => {
    const checkpoint = await openTorch(fixture('goldens/checkpoints/rg-tiny/dmtorch-example-bf16.pt'));
    await checkpoint.close();
    // goldens/README.md gives the configuration of rg-tiny
    const [r, a] = ['recurrent', 'attention'];
    assert.deepEqual(checkpoint.config, {
      vocab_size: 512,
      width: 40,
      mlp_expanded_width: 52,
      num_heads: 5,
      lru_width: 40,
      embeddings_scale_by_sqrt_dim: true,
      attention_window_size: 16,
      logits_soft_cap: 30,
      block_types: [r, r, a, r, r, a, r, r],
    });
  });

  const shared = [...goldens.keys()].filter((path) => /\.pt$|\/hf-bin|\/state-spaces/.test(path));
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

describe('files of every kind', () => {
  for (const [name, tensors] of readable) {
    it(`reads ${name}`, async () => {
      assert.deepEqual(await digestsOf(fixture(`torch/${name}`)), entries(tensors));
    });
  }

  it('reads a tensor twice, and two tensors at a time', async () => {
    const checkpoint = await openTorch(fixture('torch/layouts.pt'));
    const both = await Promise.all([digests(checkpoint), digests(checkpoint)]);
    await checkpoint.close();
    assert.deepEqual(both[0], entries(readable.get('layouts.pt')));
    assert.deepEqual(both[1], both[0]);
  });
});

describe('files that must be refused', () => {
  for (const [name, word] of entries(expected.get('refused'))) {
    it(`refuses ${name}: ${word}`, async () => {
      await assertRefused(fixture(`torch/${name}`), new RegExp(String(word).replaceAll('.', '\\.')));
      assert.ok(!existsSync(TRACE), 'code from the file ran');
    });
  }

  it('names the tensor whose storage is too short', async () => {
    await assertRefused(
      fixture('torch/short-storage.pt'),
      /20 of the 24 bytes of the storage "0", where the tensor "embed" lies/,
    );
  });

  it('refuses files that are no checkpoints', async () => {
    await assertRefused(fixture('torch/expected.json'), /not a PyTorch file/);
    await assertRefused(fixture('safetensors/good.safetensors'), /not a PyTorch file/);
    await assertRefused(join(folder, 'nowhere.pt'), /There is no file/);
    await assertRefused(fixture('safetensors'), /holds neither/);
    const empty = join(folder, 'empty.pt');
    await writeFile(empty, '');
    await assertRefused(empty, /not a PyTorch file/);
    const plain = join(folder, 'plain.pt');
    await writeFile(plain, Buffer.from('80027d712e', 'hex'));
    await assertRefused(plain, /not a PyTorch file/);
  });

  for (const source of ['tied.pt', 'tied-legacy.pt']) {
    it(`refuses ${source} cut off anywhere`, async () => {
      const { size } = await stat(fixture(`torch/${source}`));
      const path = join(folder, `cut-${source}`);
      for (let length = 0; length < size; length += Math.ceil(size / 60)) {
        await copyFile(fixture(`torch/${source}`), path);
        await truncate(path, length);
        await assertRefused(path, /./);
      }
    });
  }
});

describe('numbers that do not fit', () => {
  /** A legacy file of one float32 storage of six elements, and a tensor `w` that the given pickle fragments describe. */
  async function legacy(
    name: string,
    offset: string,
    size: string,
    stride: string,
    count = 'K\x06',
  ): Promise<string> {
    const head =
      '\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.';
    const storage = `(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu${count}NtQ`;
    const tensor = `ctorch._utils\n_rebuild_tensor_v2\n(${storage}${offset}${size}${stride}\x89NtR`;
    const object = `\x80\x02}X\x01\x00\x00\x00w${tensor}s.`;
    const data = `\x06${'\0'.repeat(7)}${'\0'.repeat(24)}`;
    const path = join(folder, `${name.replaceAll(' ', '-')}.pt`);
    await writeFile(path, Buffer.from(`${head}${object}\x80\x02]X\x01\x00\x00\x000a.${data}`, 'latin1'));
    return path;
  }

  it('reads the file that the others are made from', async () => {
    const checkpoint = await openTorch(await legacy('good', 'K\x02', 'K\x02K\x02\x86', 'K\x02K\x01\x86'));
    await checkpoint.close();
    assert.deepEqual(checkpoint.tensors.get('w')!.shape, [2, 2]);
  });

  const power62 = '\x8a\x08\0\0\0\0\0\0\0\x40';
  const power40 = '\x8a\x06\0\0\0\0\0\x01';
  const bad: [name: string, parts: [string, string, string, string?], problem: RegExp][] = [
    [
      'offset beyond the storage',
      ['K\x03', 'K\x02K\x02\x86', 'K\x02K\x01\x86'],
      /"w" .* needs 7 elements of a storage that has 6/,
    ],
    ['strides beyond the storage', ['K\x00', 'K\x02K\x02\x86', 'K\x05K\x01\x86'], /"w" .* needs 7 elements/],
    ['negative offset', ['J\xff\xff\xff\xff', 'K\x01\x85', 'K\x01\x85'], /"w" .* size, stride or offset/],
    ['negative stride', ['K\x05', 'K\x03\x85', 'J\xff\xff\xff\xff\x85'], /"w" .* size, stride or offset/],
    ['negative size', ['K\x00', 'J\xff\xff\xff\xff\x85', 'K\x01\x85'], /"w" .* size, stride or offset/],
    ['size of 2^62', ['K\x00', `${power62}\x85`, 'K\x01\x85'], /"w" .* size, stride or offset/],
    [
      'product beyond 2^64',
      ['K\x00', `${power40}${power40}${power40}\x87`, 'K\x00K\x00K\x00\x87'],
      /"w" .* repeats/,
    ],
    ['endless repetition', ['K\x00', `${power40}\x85`, 'K\x00\x85'], /"w" .* repeats the elements/],
    ['strides for another rank', ['K\x00', 'K\x02K\x02\x86', 'K\x01\x85'], /"w" .* size, stride or offset/],
    ['size that is a text', ['K\x00', 'X\x01\0\0\0a', 'K\x01\x85'], /"w" .* size, stride or offset/],
    ['storage of another count', ['K\x00', 'K\x01\x85', 'K\x01\x85', 'K\x07'], /28 bytes of the storage "0"/],
    [
      'storage larger than the file',
      ['K\x00', 'K\x01\x85', 'K\x01\x85', power40],
      /bytes of the storage "0"/,
    ],
    [
      'storage of 2^62',
      ['K\x00', 'K\x01\x85', 'K\x01\x85', power62],
      /a storage without a type, a name or a size/,
    ],
  ];
  it('does not spell out a list that is nested without end', async () => {
    const endless = `]q\x00${'h\x00h\x00\x86q\x00'.repeat(1000)}`;
    const path = await legacy('nested', `(${endless}tQ`, 'K\x01\x85', 'K\x01\x85');
    await assertRefused(path, /refers to something that is not text, which is not a storage/);
  });

  for (const [name, [offset, size, stride, count], problem] of bad) {
    it(`refuses: ${name}`, async () => {
      await assertRefused(await legacy(name, offset, size, stride, count), problem);
    });
  }
});

describe('sharded checkpoints', () => {
  async function sharded(name: string, weightMap: object): Promise<string> {
    const path = join(folder, name);
    await mkdir(path);
    await copyFile(fixture('torch/tied.pt'), join(path, 'x-1.bin'));
    await copyFile(fixture('torch/tree.pt'), join(path, 'x-2.bin'));
    await writeFile(join(path, 'pytorch_model.bin.index.json'), JSON.stringify({ weight_map: weightMap }));
    return path;
  }

  it('reads every shard', async () => {
    const path = await sharded('sharded', { embed: 'x-1.bin', norm: 'x-2.bin' });
    const tensors = [...entries(readable.get('tied.pt')), ...entries(readable.get('tree.pt'))];
    assert.deepEqual(await digestsOf(path), new Map(tensors));
    const checkpoint = await openTorch(join(path, 'pytorch_model.bin.index.json'));
    await checkpoint.close();
    const names = ['pytorch_model.bin.index.json', 'x-1.bin', 'x-2.bin'];
    assert.deepEqual(
      checkpoint.files,
      names.map((name) => resolve(path, name)),
    );
    assert.equal(checkpoint.format, 'torch');
  });

  it('refuses what does not fit', async () => {
    await assertRefused(
      await sharded('absent', { embed: 'x-2.bin' }),
      /"embed" is in x-2.bin, but it is not/,
    );
    await assertRefused(
      await sharded('lost', { embed: 'x-1.bin', more: 'x-3.bin' }),
      /There is no file .*x-3.bin/,
    );
    await assertRefused(await sharded('outside', { embed: '../x-1.bin' }), /not the name of a file/);
  });
});

describe('looksLikeTorch', () => {
  it('goes by the content of a file', async () => {
    for (const name of [
      'torch/tied.pt',
      'torch/tied-legacy.pt',
      'torch/system-legacy.pt',
      'torch/script.pt',
    ]) {
      assert.equal(await looksLikeTorch(fixture(name)), true, name);
    }
    for (const name of ['torch/expected.json', 'safetensors/good.safetensors', 'nothing.pt', 'torch']) {
      assert.equal(await looksLikeTorch(fixture(name)), false, name);
    }
  });

  it('knows folders', async () => {
    const one = join(folder, 'one');
    await mkdir(one);
    await copyFile(fixture('torch/tied.pt'), join(one, 'griffin.pt'));
    assert.equal(await looksLikeTorch(one), true);
    assert.deepEqual(await digestsOf(one), entries(readable.get('tied.pt')));
    assert.equal(await looksLikeTorch(fixture('goldens/checkpoints/rg-tiny/hf-bin-f32')), true);
    assert.equal(await looksLikeTorch(fixture('goldens/checkpoints/rg-tiny/hf-bf16')), false);
  });
});

it('survives damaged files', async () => {
  const names = [
    'layouts.pt',
    'layouts-legacy.pt',
    'tied.pt',
    'tied-legacy.pt',
    'tree.pt',
    'values.pt',
    'zip64.pt',
  ];
  let refused = 0;
  for (const [seed, name] of names.entries()) {
    refused += await fuzz(fixture(`torch/${name}`), openTorch, { folder, rounds: 200, seed });
  }
  const golden = fixture('goldens/checkpoints/rg-tiny/dmtorch-example-bf16.pt');
  refused += await fuzz(golden, openTorch, { folder, rounds: 100, seed: 9, within: 22_000 });
  assert.ok(refused > 400, `only ${refused} refused`);
  assert.ok((await readFile(join(folder, 'damaged'))).length > 0);
});
