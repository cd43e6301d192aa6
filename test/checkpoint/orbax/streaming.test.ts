/** Reading stays small and orderly: arrays larger than memory may be, readers that stop early, several readers at once. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openOrbax } from '../../../src/checkpoint/orbax/orbax.js';
import { fixture } from '../digests.js';
import { hashTensor } from './expected.js';
import { zstdZeros } from './zstd-zeros.js';

/** The embedding of RecurrentGemma 2B, [vocabulary, width] in bfloat16, as published: one chunk of 1.31 GB. */
const SHAPE = [256_000, 2560];
const BYTES = SHAPE[0]! * SHAPE[1]! * 2;

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recgemma-streaming-'));
  for (const [name, columns] of [
    ['one_chunk', 2560],
    ['column_shards', 320],
  ] as const) {
    await mkdir(join(folder, name));
    const header = {
      zarr_format: 2,
      shape: SHAPE,
      chunks: [SHAPE[0], columns],
      dtype: 'bfloat16',
      order: 'C',
    };
    const rest = { filters: null, fill_value: null, compressor: { id: 'zstd', level: 1 } };
    await writeFile(join(folder, name, '.zarray'), JSON.stringify({ ...header, ...rest }));
    const chunk = zstdZeros(SHAPE[0]! * columns * 2);
    for (let shard = 0; shard < 2560 / columns; shard++)
      await writeFile(join(folder, name, `0.${shard}`), chunk);
  }
});
after(() => rm(folder, { recursive: true, force: true }));

/** Files under the test's folder that this process holds open (Linux only; elsewhere none are seen). */
async function openFiles(): Promise<string[]> {
  const { readlink } = await import('node:fs/promises');
  const fds = await readdir('/proc/self/fd').catch(() => []);
  const links = await Promise.all(fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((link) => link.startsWith(folder));
}

describe('streaming', () => {
  for (const name of ['one_chunk', 'column_shards']) {
    it(`reads 1.31 GB in ${name} without holding them`, async () => {
      const tensor = (await openOrbax(folder)).tensors.get(name)!;
      let bytes = 0;
      let peak = 0;
      for await (const piece of tensor.read()) {
        bytes += piece.length;
        peak = Math.max(peak, process.memoryUsage.rss());
      }
      assert.equal(bytes, BYTES);
      assert.ok(peak < 400 * 1024 * 1024, `${peak} bytes resident`);
    });
  }

  it('reads any number of chunks that lie one below the other', async () => {
    const header = { zarr_format: 2, shape: [3000, 2], chunks: [1, 2], dtype: '|u1', order: 'C' };
    const rest = { filters: null, fill_value: 0, compressor: null };
    await mkdir(join(folder, 'rows'));
    await writeFile(join(folder, 'rows', '.zarray'), JSON.stringify({ ...header, ...rest }));
    for (let row = 0; row < 3000; row += 3) {
      await writeFile(join(folder, 'rows', `${row}.0`), Uint8Array.of(row, row >> 8));
    }
    const expected = Uint8Array.from({ length: 6000 }, (_, at) => {
      const row = at >> 1;
      return row % 3 === 0 ? row >> (8 * (at & 1)) : 0;
    });
    const tensor = (await openOrbax(folder)).tensors.get('rows')!;
    assert.equal(await hashTensor(tensor), createHash('sha256').update(expected).digest('hex'));
  });

  it('closes its files when a reader stops early', async () => {
    const { tensors } = await openOrbax(folder);
    for (const tensor of tensors.values()) {
      for await (const piece of tensor.read()) {
        assert.ok(piece.length > 0);
        break;
      }
    }
    assert.deepEqual(await openFiles(), []);
  });

  it('serves readers that take turns', async () => {
    const { tensors } = await openOrbax(fixture('goldens/checkpoints/rg-tiny/flax-sharded-ocdbt-bf16'));
    const some = [...tensors.values()].slice(0, 12);
    const alone: string[] = [];
    for (const tensor of some) alone.push(await hashTensor(tensor));
    assert.deepEqual(await Promise.all(some.map(hashTensor)), alone);
  });
});
