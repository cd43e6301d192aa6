/** A weight of more than 2 GiB: written piece by piece, and loaded by onnxruntime from where the model file says it is. */

import assert from 'node:assert/strict';
import { stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Graph } from '../../src/graph/graph.js';
import type { LazyTensor } from '../../src/graph/lazy-tensor.js';
import { MODEL_DATA_FILE, MODEL_FILE, saveModel } from '../../src/graph/save.js';
import { Scope } from '../../src/graph/scope.js';
import { WeightStore } from '../../src/graph/weight-store.js';
import { temporaryFolder } from '../support/goldens.js';

const WIDTH = 1024;
const ROWS = 600_000;
const BYTES = ROWS * WIDTH * 4;

/** Row r begins with r, and is 0 otherwise. */
const table: LazyTensor = {
  dtype: 'float32',
  shape: [ROWS, WIDTH],
  async *read() {
    const rowsAtOnce = 1000;
    const piece = new Float32Array(rowsAtOnce * WIDTH);
    for (let start = 0; start < ROWS; start += rowsAtOnce) {
      for (let row = 0; row < rowsAtOnce; row++) piece[row * WIDTH] = start + row;
      yield new Uint8Array(piece.buffer);
    }
  },
};

const { bavail, bsize } = await statfs(tmpdir());
const skip = bavail * bsize < 2 * BYTES && `${tmpdir()} has too little room`;

describe('a model of more than 2 GiB', { skip }, () => {
  it('is saved in little memory, and runs', async () => {
    const folder = await temporaryFolder();
    const small: LazyTensor = { ...table, shape: [1000, WIDTH], read: () => firstPiece(table) };
    const graph = new Graph('large');
    const m = new Scope(graph, new WeightStore(new Map(Object.entries({ table, small }))));
    const ids = graph.input('ids', 'int64', ['count']);
    const large = m.gather(m.weight('table', table.shape), ids);
    // The second weight begins beyond 2 GiB.
    graph.output('sum', m.add(large, m.gather(m.weight('small', small.shape), m.mod(ids, 1000))));

    const before = process.memoryUsage.rss();
    let highest = before;
    const written = await saveModel(graph, folder, {
      producerVersion: '0',
      metadata: {},
      onProgress: () => {
        highest = Math.max(highest, process.memoryUsage.rss());
      },
    });
    assert.ok(BYTES > 2 ** 31);
    assert.equal((await stat(join(folder, MODEL_DATA_FILE))).size, BYTES + 1000 * WIDTH * 4);
    assert.equal(written.get(MODEL_DATA_FILE)!.bytes, BYTES + 1000 * WIDTH * 4);
    assert.ok(highest - before < 256 * 2 ** 20, `${(highest - before) / 2 ** 20} MiB`);

    const session = await InferenceSession.create(join(folder, MODEL_FILE));
    const wanted = [0, 1, 524_287, 524_288, 524_289, ROWS - 1];
    const feed = new Tensor('int64', BigInt64Array.from(wanted, BigInt), [wanted.length]);
    const { sum } = await session.run({ ids: feed });
    const firsts = wanted.map((_, i) => (sum!.data as Float32Array)[i * WIDTH]);
    assert.deepEqual(
      firsts,
      wanted.map((row) => row + (row % 1000)),
    );
    await session.release();
  });
});

async function* firstPiece(tensor: LazyTensor): AsyncIterable<Uint8Array> {
  for await (const piece of tensor.read()) {
    yield piece;
    return;
  }
}
