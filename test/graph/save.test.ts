/** Saving a small graph: what onnxruntime computes with it, aligned weights, progress, abort, and weights that break their word. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Graph } from '../../src/graph/graph.js';
import { dataFileBytes, MODEL_DATA_FILE, MODEL_FILE, saveModel } from '../../src/graph/save.js';
import { Scope } from '../../src/graph/scope.js';
import { castTensor, memoryTensor } from '../../src/graph/transform.js';
import { WeightStore } from '../../src/graph/weight-store.js';
import { temporaryFolder } from '../support/goldens.js';

const OPTIONS = { producerVersion: '1.2.3', metadata: {} };

/** `y = (x a) b` with a `[2, 3]` of 1 to 6 and b `[3, 2]` of 10 to 60. */
function productGraph(bytesOfB = 24): Graph {
  const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
  const tensors = {
    a: memoryTensor('float32', [2, 3], floats(1, 2, 3, 4, 5, 6)),
    b: memoryTensor('float32', [3, 2], floats(10, 20, 30, 40, 50, 60, 70).subarray(0, bytesOfB)),
  };
  const graph = new Graph('product');
  const m = new Scope(graph, new WeightStore(new Map(Object.entries(tensors))));
  const x = graph.input('x', 'float32', ['rows', 2]);
  graph.output('y', m.matmul(m.matmul(x, m.weight('a', [2, 3])), m.weight('b', [3, 2])));
  return graph;
}

describe('a saved model', () => {
  it('computes what its graph says, in onnxruntime', async () => {
    const folder = await temporaryFolder();
    const progress: [number, number][] = [];
    const written = await saveModel(productGraph(), folder, {
      ...OPTIONS,
      onProgress: (...state) => progress.push(state),
    });
    const session = await InferenceSession.create(join(folder, MODEL_FILE));
    const { y } = await session.run({ x: new Tensor('float32', [1, 0, 0, 1], [2, 2]) });
    assert.deepEqual([...(y!.data as Float32Array)], [220, 280, 490, 640]);
    assert.deepEqual(progress, [
      [24, 48],
      [48, 48],
    ]);
    for (const name of [MODEL_FILE, MODEL_DATA_FILE]) {
      const bytes = await readFile(join(folder, name));
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      assert.deepEqual(written.get(name), { bytes: bytes.length, sha256 });
    }
  });

  it('has each weight at the start of a page', async () => {
    const folder = await temporaryFolder();
    await saveModel(productGraph(), folder, OPTIONS);
    const data = await readFile(join(folder, MODEL_DATA_FILE));
    const floats = (at: number) => [...new Float32Array(new Uint8Array(data.subarray(at, at + 24)).buffer)];
    assert.equal(data.length, 4096 + 24);
    assert.equal(dataFileBytes(productGraph()), 2 * 4096);
    assert.deepEqual(floats(0), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(floats(4096), [10, 20, 30, 40, 50, 60]);
    assert.ok(data.subarray(24, 4096).every((byte) => byte === 0));
  });

  it('is the same to the bit each time', async () => {
    const folders = [await temporaryFolder(), await temporaryFolder()];
    const [first, second] = await Promise.all(
      folders.map((folder) => saveModel(productGraph(), folder, OPTIONS)),
    );
    assert.deepEqual(first, second);
  });

  it('is refused where a weight is shorter or longer than its shape', async () => {
    for (const bytes of [20, 28]) {
      const saving = saveModel(productGraph(bytes), await temporaryFolder(), OPTIONS);
      await assert.rejects(saving, { message: `weight "b" gave ${bytes} of 24 bytes` });
    }
  });

  it('is refused, by the weight’s name, where a value does not fit', async () => {
    const graph = new Graph('narrow');
    const wide = memoryTensor('float32', [2], new Uint8Array(Float32Array.of(1, 1e6).buffer));
    graph.weight('blocks.0.scale', castTensor(wide, 'float16'));
    await assert.rejects(saveModel(graph, await temporaryFolder(), OPTIONS), {
      code: 'input',
      message: 'The weight "blocks.0.scale" holds 1000000; float16 ends at 65504.',
      hint: 'Convert it with another --precision.',
      details: { value: 1e6, weight: 'blocks.0.scale' },
    });
  });

  it('ends with the reason of the signal', async () => {
    const folder = await temporaryFolder();
    const reason = new Error('enough');
    const saving = saveModel(productGraph(), folder, { ...OPTIONS, signal: AbortSignal.abort(reason) });
    await assert.rejects(saving, reason);
    await assert.rejects(readFile(join(folder, MODEL_FILE)), /ENOENT/);
  });
});
