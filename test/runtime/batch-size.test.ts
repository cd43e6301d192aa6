/** How many sequences run together, by the memory that there is. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { UnavailableError } from '../../src/errors.js';
import { MANIFEST_FILE, readModelFolder } from '../../src/manifest.js';
import type { StateTensor } from '../../src/models/state-tensor.js';
import { chooseBatch } from '../../src/runtime/batch-size.js';
import { BatchState } from '../../src/runtime/batch-state.js';
import { fileCache, freeMemory } from '../../src/runtime/free-memory.js';
import { requireStateRoom, scoreBytes } from '../../src/runtime/state-room.js';
import { convertGolden, temporaryFolder } from '../support/goldens.js';

const MiB = 2 ** 20;

/** A folder that says of its model: 100 MiB of files, and 10 MiB of state for each sequence. */
async function folderOf(): Promise<string> {
  const { manifest } = await readModelFolder(await convertGolden('rg-tiny/hf-bf16'));
  const [first] = manifest.state;
  const state = [{ ...first!, shape: [(10 * MiB) / 4], bytes_per_sequence: 10 * MiB }];
  const files = { 'model.onnx': { bytes: 100 * MiB, sha256: '' } };
  const folder = await temporaryFolder();
  await writeFile(join(folder, MANIFEST_FILE), JSON.stringify({ ...manifest, state, files }));
  return folder;
}

describe('the batch', () => {
  it('is as large as half of the memory beside the weights allows, and 64 at most', async () => {
    const folder = await folderOf();
    const batchOf = async (free: number) =>
      (await chooseBatch(folder, { sequences: 1000, free: free * MiB })).batch;
    // 8 sequences and as many that are filled ahead take 160 MiB.
    assert.deepEqual(await Promise.all([0, 100, 180, 420, 9000].map(batchOf)), [1, 1, 2, 8, 64]);
  });

  it('is never larger than the work', async () => {
    const folder = await folderOf();
    const free = 10_000 * MiB;
    for (const [batch, sequences, chosen, rows] of [
      [undefined, 3, 3, 3],
      [undefined, 0, 1, 1],
      [4096, 5, 5, 5],
      [4, 99, 4, 8],
    ] as const) {
      const size = await chooseBatch(folder, { batch, sequences, free });
      assert.deepEqual(size, { batch: chosen, rows, rowBytes: 10 * MiB });
    }
  });

  it('that was asked for may take all memory, and is refused before it takes more', async () => {
    const folder = await folderOf();
    const free = 300 * MiB;
    assert.equal((await chooseBatch(folder, { batch: 10, sequences: 99, free })).batch, 10);
    await assert.rejects(chooseBatch(folder, { batch: 24, sequences: 99, free }), (error) => {
      assert.ok(error instanceof UnavailableError);
      assert.equal(
        error.message,
        'A batch of 24 needs 480.0 MiB: 48 states of 10.0 MiB. Beside the weights, 200.0 MiB of memory are free.',
      );
      assert.equal(error.hint, 'Try --batch 10, or leave --batch out.');
      return true;
    });
  });
});

describe('room for the state', () => {
  const cache: StateTensor = {
    input: 'past',
    output: 'present',
    kind: 'cache',
    dtype: 'float32',
    shape: [1, 8192, 256],
    axes: ['kv_heads', 'context', 'head_dim'],
  };
  const GiB = 2 ** 30;

  it('is asked for before it is taken, and its lack told with figures', async () => {
    const state = new BatchState([cache], 4);
    // 4 rows of 262,144 tokens are 1 GiB, and there is a spare part of 256 MiB.
    const room = { rows: 3, numTokens: 262_144 };
    await requireStateRoom(state, room, async () => 1.25 * GiB);
    await assert.rejects(
      requireStateRoom(state, room, async () => 1.25 * GiB - 1),
      (error) => {
        assert.ok(error instanceof UnavailableError);
        assert.equal(error.exitCode, 5);
        assert.equal(
          error.message,
          'There is not enough memory for 4 sequences of up to 262144 tokens: the state takes 0 B and needs 1.0 GiB more to grow, the call 0 B. 1.2 GiB are free, of which 256.0 MiB are kept.',
        );
        return true;
      },
    );
  });

  it('is taken without asking where it is little', async () => {
    const state = new BatchState([cache], 4);
    await requireStateRoom(state, { rows: 4, numTokens: 1024 }, async () => assert.fail('asked'));
  });
});

describe('the scores of a call', () => {
  it('are as many as queries by keys, some times over', () => {
    // Gemma-7B at 32k: 16 heads of 256 queries by 33,024 keys are half a gigabyte, seven times.
    assert.equal(scoreBytes(1, 256, 16, 32_768), 7 * 4 * 16 * 256 * (32_768 + 256));
    assert.equal(scoreBytes(3, 1, 0, 1000), 0);
  });
});

describe('free memory', () => {
  it('is some, and less than there is', async () => {
    const free = await freeMemory();
    assert.ok(free > 0 && free < 2 ** 50);
  });

  it('includes what a container uses for files', () => {
    assert.equal(fileCache('anon 5\nfile 9\ninactive_file 30\nactive_file 12\nslab 8\n'), 42);
    assert.equal(fileCache(''), 0);
  });
});
