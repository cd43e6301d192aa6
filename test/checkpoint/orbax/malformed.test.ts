/** Damaged, hostile and unfinished checkpoints: each is refused with a sentence that says what is wrong and where. */

import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openOrbax } from '../../../src/checkpoint/orbax/orbax.js';
import { InputError } from '../../../src/errors.js';
import { fixture } from '../digests.js';
import { hashTensor } from './expected.js';
import { interior, leaf, MISSING, manifest, seal, varint, writeDatabase } from './write-ocdbt.js';
import { zstdZeros } from './zstd-zeros.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recgemma-orbax-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Opens the checkpoint in `folder` and reads all of it, which must end in an InputError. */
async function refused(message: RegExp, hint?: RegExp): Promise<void> {
  await assert.rejects(
    async () => {
      const checkpoint = await openOrbax(folder);
      for (const tensor of checkpoint.tensors.values()) await hashTensor(tensor);
    },
    (error: unknown) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      if (hint !== undefined) assert.match(error.hint ?? '', hint);
      return true;
    },
  );
}

/** Overwrites bytes of a file; a negative place counts from the end. */
async function patch(file: string, at: number, ...bytes: number[]): Promise<void> {
  const content = await readFile(join(folder, file));
  content.set(bytes, at < 0 ? content.length + at : at);
  await writeFile(join(folder, file), content);
}

/** The first file in a sub-folder, whose name is random. */
async function only(sub: string): Promise<string> {
  return join(sub, (await readdir(join(folder, sub))).sort()[0]!);
}

describe('damaged OCDBT databases', () => {
  beforeEach(() => cp(fixture('orbax/ocdbt-deep'), folder, { recursive: true }));

  it('refuses a truncated manifest', async () => {
    await truncate(join(folder, 'manifest.ocdbt'), 60);
    await refused(
      /manifest ".*manifest\.ocdbt" cannot be read: it says it has \d+ bytes, but/,
      /incompletely/,
    );
  });

  it('refuses a manifest of nothing', async () => {
    await truncate(join(folder, 'manifest.ocdbt'), 0);
    await refused(/manifest .* ends in the middle of a field/);
  });

  it('refuses a manifest with a wrong checksum', async () => {
    await patch('manifest.ocdbt', 30, 0xff);
    await refused(/manifest .* its checksum is wrong/);
  });

  it('refuses a manifest with another magic', async () => {
    await patch('manifest.ocdbt', 0, 0x50, 0x4b);
    await refused(/its first bytes are not those of OCDBT/);
  });

  it('refuses a truncated data file, naming it', async () => {
    const data = await only('d');
    await truncate(join(folder, data), 2000);
    await refused(/data file ".*\/d\/[0-9a-f]{32}" has 2000 bytes, but .* needs it to have/, /incompletely/);
  });

  it('refuses a missing data file, naming it', async () => {
    await rm(join(folder, await only('d')));
    await refused(/data file ".*\/d\/[0-9a-f]{32}", which .* needs, is missing/, /incompletely/);
  });

  it('refuses a tree node with a wrong checksum', async () => {
    const data = await only('d');
    const at = (await readFile(join(folder, data))).indexOf(Buffer.from('0cdb20de', 'hex'));
    await patch(data, at + 20, 0xff, 0xff);
    await refused(/tree node at byte \d+ of .* its checksum is wrong/);
  });
});

describe('hostile OCDBT databases', () => {
  const inline: readonly (readonly [string, readonly number[]])[] = [['a/.zarray', [...Buffer.from('{}')]]];

  for (const path of ['../../etc/passwd', '/etc/passwd', 'd/a\0b', 'd/../../x', 'C:\\x', 'd\\..\\..\\x']) {
    it(`refuses the data file ${JSON.stringify(path)}`, async () => {
      await writeFile(join(folder, 'manifest.ocdbt'), manifest([path], { file: 0, offset: 0, length: 9 }, 0));
      await refused(/names the path .* which leads out of the checkpoint/);
    });
  }

  it('refuses a key that leads out', async () => {
    await writeDatabase(folder, leaf([], [['../a/.zarray', [0x7b, 0x7d]]]));
    await refused(/names the path "\.\.\/a\/\.zarray", which leads out of the checkpoint/);
  });

  it('refuses a node that is its own child', async () => {
    const self = (length: number) => interior(['d/data'], 1, { file: 0, offset: 0, length });
    await writeDatabase(folder, self(self(1).length), 1);
    await refused(/it has height 1 where the tree needs a node of height 0/);
  });

  it('refuses a node of another height than the manifest says', async () => {
    await writeDatabase(folder, leaf([], inline), 3);
    await refused(/it has height 0 where the tree needs a node of height 3/);
  });

  it('refuses keys out of order', async () => {
    await writeDatabase(
      folder,
      leaf(
        [],
        [
          ['b/.zarray', [1]],
          ['a/.zarray', [1]],
        ],
      ),
    );
    await refused(/its keys are not in order/);
  });

  it('refuses a value in a file that is not there', async () => {
    await writeDatabase(folder, leaf(['d/lost'], [['w/0.0', { file: 0, offset: 0, length: 5 }]]));
    await refused(/data file ".*d\/lost", which "w\/0\.0" needs, is missing/);
  });

  it('refuses a value beyond the end of its file', async () => {
    await writeDatabase(folder, leaf(['d/data'], [['w/0.0', { file: 0, offset: 2 ** 50, length: 5 }]]));
    await refused(
      /data file ".*d\/data" has \d+ bytes, but "w\/0\.0" needs it to have at least 1125899906842629/,
    );
  });

  it('refuses a number of more than 64 bits', async () => {
    await writeDatabase(folder, seal(0x0cdb20de, [0, ...new Array<number>(12).fill(0x80), 0]));
    await refused(/one of its numbers has more than 64 bits/);
  });

  it('refuses numbers beyond 2^53', async () => {
    await writeDatabase(folder, leaf(['d/data'], [['w/0', { file: 0, offset: 2n ** 60n, length: 5 }]]));
    await refused(/one of its numbers is absurdly large/);
  });

  it('refuses a missing child', async () => {
    await writeDatabase(folder, interior(['d/data'], 1, { file: 0, offset: MISSING, length: MISSING }), 1);
    await refused(/one of its references is missing/);
  });

  it('refuses a count of entries that cannot follow', async () => {
    await writeDatabase(folder, seal(0x0cdb20de, [0, 0, ...varint(2 ** 20), 1, 2, 3]));
    await refused(/it counts 1048576 entries, but only 3 bytes follow/);
  });

  it('refuses keys that shared prefixes make gigantic', async () => {
    const count = 20_000;
    const long = 60_000;
    const body = [0, 0, ...varint(count), ...new Array(count - 1).fill(varint(long)).flat(), ...varint(long)];
    await writeDatabase(
      folder,
      seal(0x0cdb20de, [
        ...body,
        ...new Array<number>(count - 1).fill(1),
        ...new Array<number>(long + count).fill(97),
      ]),
    );
    await refused(/its names are absurdly long/);
  });

  it('refuses a node that decompresses without end', async () => {
    await writeDatabase(folder, seal(0x0cdb20de, [...zstdZeros(200 * 1024 * 1024)], 1));
    await refused(/it decompresses to more than 134217728 bytes/);
  });

  it('refuses an empty database', async () => {
    const none = { file: 0, offset: MISSING, length: MISSING };
    await writeFile(join(folder, 'manifest.ocdbt'), manifest([], none, 0));
    await refused(/holds no arrays/);
  });
});

describe('unfinished and incomplete saves', () => {
  it('says that a save without a root manifest never finished', async () => {
    await cp(fixture('orbax/ocdbt-processes'), folder, { recursive: true });
    await rm(join(folder, 'manifest.ocdbt'));
    await refused(/is a save that never finished/);
  });

  it('says that a temporary folder is an unfinished save', async () => {
    folder = join(folder, '3.orbax-checkpoint-tmp-17');
    await mkdir(folder);
    await refused(/is a save that Orbax never finished/);
  });

  it('names an array that the tree has and the store lacks', async () => {
    await cp(fixture('orbax/orbax-state-zarr3'), folder, { recursive: true });
    await rm(join(folder, 'params.blocks.0.w'), { recursive: true });
    await refused(/array "params\.blocks\.0\.w" is missing from/, /incompletely/);
  });

  it('does not take a lost chunk for one of zeros', async () => {
    await cp(fixture('orbax/orbax-state-zarr3'), folder, { recursive: true });
    await rm(join(folder, 'zeros', 'c', '0', '0'));
    await refused(/array "zeros" cannot be read: its chunk 0\.0 is missing/, /incompletely/);
  });

  it('says where there is no checkpoint', async () => {
    await refused(/There is no Orbax checkpoint at/);
  });

  it('refuses numbered manifests without one', async () => {
    await cp(fixture('orbax/ocdbt-numbered'), folder, { recursive: true });
    for (const name of await readdir(folder)) if (/\.0/.test(name)) await rm(join(folder, name));
    await refused(/OCDBT manifests are numbered, but there is none/);
  });
});

describe('damaged zarr arrays', () => {
  const header = {
    zarr_format: 2,
    shape: [4, 6],
    chunks: [4, 6],
    dtype: '<f4',
    order: 'C',
    filters: null,
    fill_value: null,
    compressor: { id: 'zstd', level: 1 } as unknown,
    dimension_separator: '.',
  };
  /** An array called blocks.0.w, of 96 bytes unless `changes` say otherwise. */
  async function array(
    changes: Partial<Record<keyof typeof header, unknown>>,
    chunk: Uint8Array,
  ): Promise<void> {
    await mkdir(join(folder, 'blocks.0.w'), { recursive: true });
    await writeFile(join(folder, 'blocks.0.w', '.zarray'), JSON.stringify({ ...header, ...changes }));
    await writeFile(join(folder, 'blocks.0.w', '0.0'), chunk);
  }

  it('reads the sound one that the others differ from', async () => {
    await array({}, zstdZeros(96));
    const checkpoint = await openOrbax(folder);
    assert.deepEqual([...checkpoint.tensors.keys()], ['blocks.0.w']);
    await hashTensor(checkpoint.tensors.get('blocks.0.w')!);
  });

  it('refuses a chunk that decompresses to far more than its shape', async () => {
    await array({}, zstdZeros(2 ** 33));
    await refused(/array "blocks\.0\.w" cannot be read: its chunk 0\.0 .* decodes to more than the 96 bytes/);
  });

  for (const [name, size] of [
    ['fewer', 95],
    ['no', 0],
  ] as const) {
    it(`refuses a chunk of ${name} bytes`, async () => {
      await array({ compressor: null }, new Uint8Array(size));
      await refused(/its chunk 0\.0 in ".*0\.0" ends before the 96 bytes it should have/, /incompletely/);
    });
  }

  it('refuses a chunk of one byte more', async () => {
    await array({}, zstdZeros(97));
    await refused(/its chunk 0\.0 .* decodes to more than the 96 bytes it should have/);
  });

  it('says that a truncated zstd chunk looks like an interrupted download', async () => {
    await array({ shape: [4000, 600], chunks: [4000, 600] }, zstdZeros(9_600_000).subarray(0, 150));
    await refused(
      /array "blocks\.0\.w" cannot be read: chunk 0\.0 in ".*": its zstd data end too early/,
      /incompletely/,
    );
  });

  for (const [name, chunk] of [
    ['garbage', Uint8Array.from({ length: 300 }, (_, at) => (at * 37) & 0xff)],
    ['a frame and garbage', Buffer.concat([zstdZeros(96), Buffer.from('garbage, more than a header')])],
    [
      'a reserved block type',
      Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x48, 0x07, 0x00, 0x00, 0, 0, 0]),
    ],
    ['a window of 2 TB', Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x03, 0x00, 0x00, 0, 0, 0])],
  ] as const) {
    it(`refuses ${name} instead of zstd, without hanging`, async () => {
      await array({}, chunk);
      await refused(/its zstd data are corrupt|decodes to more than/);
    });
  }

  for (const id of ['gzip', 'zlib']) {
    it(`refuses garbage instead of ${id}`, async () => {
      await array(
        { compressor: { id, level: 1 } },
        Uint8Array.from({ length: 99 }, () => 0x55),
      );
      await refused(new RegExp(`its ${id} data are corrupt`));
    });
  }

  it('refuses a truncated gzip chunk', async () => {
    await cp(fixture('orbax/zarr2/gzip'), join(folder, 'gzip'), { recursive: true });
    await truncate(join(folder, 'gzip', '1.1'), 30);
    await refused(/array "gzip" .* chunk 1\.1 in ".*1\.1": its gzip data end too early/, /incompletely/);
  });

  const refusals: readonly (readonly [string, Partial<Record<keyof typeof header, unknown>>, RegExp])[] = [
    ['sizes of 2^60', { shape: [2 ** 60, 6] }, /its shape .* is not a list of sizes/],
    ['an absurd size', { shape: [2 ** 40, 6], chunks: [2 ** 40, 6] }, /is absurdly large/],
    ['negative sizes', { shape: [-4, 6] }, /its shape \[-4,6\] is not a list of sizes/],
    ['chunks of nothing', { chunks: [0, 6] }, /its chunk shape \[0,6\] is not a list of sizes/],
    ['different ranks', { chunks: [4] }, /differ in rank/],
    ['millions of chunks', { shape: [2 ** 21, 6], chunks: [1, 6] }, /has 2097152 chunks/],
    ['Fortran order', { order: 'F' }, /its elements are in order "F", not C/],
    ['blosc', { compressor: { id: 'blosc' } }, /its codec "blosc" is not supported/],
    ['filters', { filters: [{ id: 'delta' }] }, /uses zarr filters/],
    ['float8', { dtype: 'float8_e4m3fn' }, /its element type "float8_e4m3fn" is not supported/],
    ['big-endian floats', { dtype: '>f4' }, /its element type ">f4" is not supported/],
    [
      'an inherited name as type',
      { dtype: 'constructor' },
      /its element type "constructor" is not supported/,
    ],
    ['another version', { zarr_format: 3 }, /zarr format 3, not 2/],
    ['a fill value of words', { fill_value: 'much' }, /its fill value "much" is not a number/],
  ];
  for (const [name, changes, message] of refusals) {
    it(`refuses a header with ${name}, naming the array`, async () => {
      await array(changes, zstdZeros(96));
      await refused(message);
      await refused(/array "blocks\.0\.w"/);
    });
  }

  it('refuses more chunks side by side than it may open', async () => {
    await array({ shape: [4, 600], chunks: [4, 1], fill_value: 0 }, zstdZeros(16));
    await refused(/more than 256 of its chunks lie side by side/);
  });

  for (const file of ['.zarray', 'zarr.json']) {
    it(`refuses a ${file} that is not JSON`, async () => {
      await mkdir(join(folder, 'w'));
      await writeFile(join(folder, 'w', file), '{"zarr_format": 2, ');
      await refused(/array "w" in ".*" cannot be read: its header is not JSON/);
    });
  }
});

describe('damaged zarr v3 shards', () => {
  const shard = join('shards.end', 'c', '1', '0');
  beforeEach(() => cp(fixture('orbax/zarr3/shards.end'), join(folder, 'shards.end'), { recursive: true }));

  it('refuses an index with a wrong checksum', async () => {
    await patch(shard, -20, 0xee);
    await refused(/array "shards\.end" cannot be read: its checksum is wrong/);
  });

  it('refuses a shard shorter than its index', async () => {
    await truncate(join(folder, shard), 40);
    await refused(/a shard is too short for its index/, /incompletely/);
  });

  it('refuses a chunk beyond the end of its shard', async () => {
    await rm(join(folder, 'shards.end'), { recursive: true });
    await cp(fixture('orbax/zarr3/shards.no_checksum'), join(folder, 'w'), { recursive: true });
    await patch(join('w', 'c', '1', '1'), 8, 0xff, 0xff, 0xff);
    await refused(/a shard ends before one of its chunks does/, /incompletely/);
  });
});

describe('damaged MessagePack files', () => {
  const ext1 = (payload: readonly number[]) => [0xc7, payload.length, 1, ...payload];
  const cases: readonly (readonly [string, readonly number[], RegExp])[] = [
    ['that end too early', [0x81, 0xa1, 0x77, 0xc9, 0, 0, 0xff, 0xff, 1, 0x93], /end too early/],
    ['with bytes left over', [0x81, 0xa1, 0x77, 0x01, 0x01], /1 bytes follow its MessagePack data/],
    ['nested without end', [...new Array(200).fill([0x81, 0xa1, 0x77]).flat(), 0xc0], /have no end/],
    ['with a reserved byte', [0x81, 0xa1, 0x77, 0xc1], /is not MessagePack/],
    [
      'with a key that is a list',
      [0x82, 0xa1, 0x77, 0x01, 0x90, 0x01],
      /a key in its MessagePack data is not text/,
    ],
    ['with a huge map', [0x81, 0xa1, 0x77, 0xdf, 0xff, 0xff, 0xff, 0xff], /end too early/],
    [
      'with an array of too few bytes',
      [0x81, 0xa1, 0x77, ...ext1([0x93, 0x91, 2, 0xa4, 0x69, 0x6e, 0x74, 0x38, 0xc4, 1, 9])],
      /"w" of shape \[2\] in int8 has 1 bytes, not 2/,
    ],
    [
      'with an unknown type',
      [0x81, 0xa1, 0x77, ...ext1([0x93, 0x91, 1, 0xa4, 0x69, 0x6e, 0x74, 0x34, 0xc4, 1, 9])],
      /"w" has element type "int4", which is not supported/,
    ],
    [
      'with two leaves of one name',
      [0x82, 0xa3, 0x61, 0x2e, 0x62, 1, 0xa1, 0x61, 0x81, 0xa1, 0x62, 2],
      /two leaves whose path is "a\.b"/,
    ],
  ];
  for (const [name, bytes, message] of cases) {
    it(`refuses MessagePack data ${name}`, async () => {
      await writeFile(join(folder, 'checkpoint'), Uint8Array.from(bytes));
      await refused(message);
    });
  }

  it('names a placeholder whose array is missing', async () => {
    await cp(fixture('orbax/placeholders'), folder, { recursive: true });
    await rm(join(folder, 'blocks.0.w'), { recursive: true });
    await refused(/array "blocks\.0\.w" is missing from/, /incompletely/);
  });
});
