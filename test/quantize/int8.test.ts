/** Int8 columns and rows: cases worked by hand, onnxruntime's own operators, and readings in any order. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { LazyTensor } from '../../src/graph/lazy-tensor.js';
import { collect, swapAxes } from '../../src/graph/transform.js';
import { quantizeColumns, quantizeRows } from '../../src/quantize/int8.js';
import { releasePool } from '../../src/quantize/pool.js';
import { gather } from '../support/gather.js';
import { assertClose } from '../support/numbers.js';
import {
  counted,
  floats,
  gaussian,
  inPieces,
  relativeError,
  runOperator,
  tensorOf,
  transposed,
} from './matrices.js';

after(releasePool);

const int8 = async (tensor: LazyTensor) => new Int8Array((await collect(tensor)).buffer);

/** All tensors of a kernel, in the order in which they are stored. */
const tensorsOf = (kernel: LazyTensor, groups: number) =>
  quantizeColumns(kernel, groups).groups.flatMap(({ values, scales }) => [values, scales]);

describe('int8 by hand', () => {
  // Columns of 254, 0, 2 and -1, the largest magnitudes, in two groups of two rows.
  const kernel = tensorOf(
    Float32Array.from([254, 0, 1, -1, -3, 0, 2, 0.5, 1, 0, 0, 0.25, 0.5, 0, -0.25, 0]),
    [4, 4],
  );

  it('gives every column of every group its own scale, and never -128', async () => {
    const [first, second] = quantizeColumns(kernel, 2).groups;
    assert.deepEqual([first!.values.dtype, first!.values.shape, first!.scales.shape], ['int8', [2, 4], [4]]);
    // -3 / 2 and 63.5 lie halfway: ties go to even.
    assert.deepEqual([...(await int8(first!.values))], [127, 0, 64, -127, -2, 0, 127, 64]);
    assert.deepEqual([...(await floats(first!.scales))], [2, 0, Math.fround(2 / 127), Math.fround(1 / 127)]);
    assert.deepEqual([...(await int8(second!.values))], [127, 0, 0, 127, 64, 0, -127, 0]);
    assert.deepEqual(
      [...(await floats(second!.scales))],
      [1 / 127, 0, 0.25 / 127, 0.25 / 127].map(Math.fround),
    );
  });

  it('gives every row of a table its own scale', async () => {
    const { values, scales } = quantizeRows(
      tensorOf(Float32Array.from([127, -127, 3, 0, 0, 0, 2, 1, -1]), [3, 3]),
    );
    assert.deepEqual([values.dtype, values.shape, scales.shape], ['int8', [3, 3], [3]]);
    assert.deepEqual([...(await int8(values))], [127, -127, 3, 0, 0, 0, 127, 64, -64]);
    assert.deepEqual([...(await floats(scales))], [1, 0, Math.fround(2 / 127)]);
  });

  it('cuts K into equal groups only', () => {
    assert.throws(() => quantizeColumns(kernel, 3), /cannot cut 4 inputs into 3 groups/);
    assert.throws(() => quantizeRows(tensorOf(new Float32Array(4), [4])), /cannot quantize .* shape \[4\]/);
    assert.throws(
      () => quantizeRows(tensorOf(new Float32Array(0), [0, 4])),
      /cannot quantize .* shape \[0, 4\]/,
    );
  });
});

describe('onnxruntime', () => {
  const [inputs, outputs] = [300, 40];
  const weights = gaussian(inputs * outputs);
  const kernel = tensorOf(weights, [inputs, outputs]);

  it('dequantizes columns to nearly what they were', async () => {
    const { groups, error } = quantizeColumns(kernel, 1);
    const [{ values, scales } = assert.fail()] = groups;
    const found = await runOperator({
      name: 'DequantizeLinear',
      x: { dtype: 'float32', data: await floats(scales), shape: [outputs] },
      inputs: [values, 'x'],
      attributes: { axis: 1 },
      output: { dtype: 'float32', shape: [inputs, outputs] },
    });
    assertClose([relativeError(Float32Array.from(found), weights)], [error()], 1e-6, 'the error');
    // Gaussian columns of 300: the largest of them is some 3 sigma, and 127 steps of it are 3 / 127 / sqrt(12).
    assert.ok(error() > 0.005 && error() < 0.008, `${error()}`);
  });

  for (const count of [1, 2, 4]) {
    it(`multiplies ${count === 1 ? 'columns' : `${count} groups of columns`} by uint8 rows`, async () => {
      const { groups, error } = quantizeColumns(kernel, count);
      const [rows, size] = [3, inputs / count];
      const x = gaussian(rows * inputs, 9).map((value) =>
        Math.max(-127, Math.min(127, Math.round(value * 40))),
      );
      const sum = new Float64Array(rows * outputs);
      for (const [g, { values, scales }] of groups.entries()) {
        const part = Uint8Array.from({ length: rows * size }, (_, i) => {
          return x[Math.floor(i / size) * inputs + g * size + (i % size)]! + 128;
        });
        const products = await runOperator({
          name: 'MatMulInteger',
          x: { dtype: 'uint8', data: part, shape: [rows, size] },
          inputs: ['x', values, memoryByte(128)],
          output: { dtype: 'int32', shape: [rows, outputs] },
        });
        const scale = await floats(scales);
        for (let i = 0; i < sum.length; i++) sum[i]! += products[i]! * scale[i % outputs]!;
      }
      const expected = Float32Array.from({ length: rows * outputs }, (_, i) => {
        let total = 0;
        for (let k = 0; k < inputs; k++) {
          total += x[Math.floor(i / outputs) * inputs + k]! * weights[k * outputs + (i % outputs)]!;
        }
        return total;
      });
      // Errors of the weights add up as the products themselves do: the same share, give or take the few rows.
      assert.ok(relativeError(Float32Array.from(sum), expected) < 1.5 * error());
    });
  }
});

const memoryByte = (value: number): LazyTensor => ({
  dtype: 'uint8',
  shape: [],
  async *read() {
    yield Uint8Array.of(value);
  },
});

describe('int8 does not depend on how a matrix lies', () => {
  const [inputs, outputs] = [96, 37];
  const columns = gaussian(inputs * outputs, 3);
  const rows = transposed(columns, inputs, outputs);

  for (const dtype of ['float32', 'bfloat16', 'float16', 'float64'] as const) {
    it(`in ${dtype}`, async () => {
      const kernel = tensorOf(columns, [inputs, outputs], dtype);
      const table = tensorOf(rows, [outputs, inputs], dtype);
      const byRow = quantizeRows(table);
      const expected = transposed(await int8(byRow.values), outputs, inputs);
      const scales = await floats(byRow.scales);
      for (const [what, each] of Object.entries({
        kernel,
        'kernel in pieces': inPieces(kernel, 40),
        'transposed table': swapAxes(table),
      })) {
        const quantized = quantizeColumns(each, 1);
        const [{ values, scales: found } = assert.fail()] = quantized.groups;
        assert.deepEqual(await int8(values), expected, what);
        assert.deepEqual(await floats(found), scales, what);
        assertClose([quantized.error()], [byRow.error()], 1e-12, what);
      }
    });
  }
});

describe('int8 groups are read', () => {
  const kernel = tensorOf(gaussian(64 * 48), [64, 48], 'bfloat16');
  const expected = () => Promise.all(tensorsOf(kernel, 4).map(collect));

  it('with one reading of the kernel, in order', async () => {
    const source = counted(kernel);
    const { groups, error } = quantizeColumns(source.tensor, 4);
    assert.throws(error, /not known before/);
    const found = [];
    for (const { values, scales } of groups) found.push(await collect(values), await collect(scales));
    assert.equal(source.reads(), 1);
    assert.deepEqual(found, await expected());
  });

  it('in any order, and again', async () => {
    const source = counted(kernel);
    const tensors = tensorsOf(source.tensor, 4);
    const found = new Map<LazyTensor, Uint8Array>();
    for (const tensor of tensors.toReversed()) found.set(tensor, await collect(tensor));
    assert.equal(source.reads(), 1);
    assert.deepEqual(
      tensors.map((tensor) => found.get(tensor)),
      await expected(),
    );
    assert.deepEqual(await collect(tensors[3]!), found.get(tensors[3]!));
    assert.deepEqual(await collect(tensors[3]!), found.get(tensors[3]!));
    assert.equal(source.reads(), 2);
  });

  it('all at once, also while one is left half read', async () => {
    const source = counted(kernel);
    const tensors = tensorsOf(source.tensor, 2);
    const left = tensors[0]!.read()[Symbol.asyncIterator]();
    const first = (await left.next()).value as Uint8Array;
    const found = await Promise.all(tensors.map(collect));
    const others = await Promise.all(tensorsOf(tensorOf(gaussian(64 * 48, 5), [64, 48]), 1).map(collect));
    assert.deepEqual(Buffer.from(first), Buffer.from(found[0]!), 'nobody else was given its memory');
    assert.ok((await left.next()).done);
    assert.notDeepEqual(others[0]!.subarray(0, 100), found[0]!.subarray(0, 100));
    assert.equal(source.reads(), 1);
  });

  it('again where the first reading failed', async () => {
    let fails = true;
    const flaky: LazyTensor = {
      ...kernel,
      read() {
        if (!fails) return kernel.read();
        fails = false;
        return (async function* () {
          yield new Uint8Array(2);
          throw new Error('the disk is gone');
        })();
      },
    };
    const tensors = tensorsOf(flaky, 1);
    await assert.rejects(gather(tensors[0]!.read()), /the disk is gone/);
    assert.deepEqual(
      await Promise.all(tensors.map(collect)),
      await Promise.all(tensorsOf(kernel, 1).map(collect)),
    );
  });
});
