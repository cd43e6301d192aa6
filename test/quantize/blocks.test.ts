/** Blocks of 4 and 8 bits: cases worked by hand, onnxruntime's own MatMulNBits, and errors against plain rounding. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openModel } from '../../src/convert/open-model.js';
import { collect, mergeColumns, swapAxes } from '../../src/graph/transform.js';
import { type BlockForm, quantizeBlockRows, quantizeBlocks } from '../../src/quantize/blocks.js';
import { releasePool } from '../../src/quantize/pool.js';
import type { Quantized } from '../../src/quantize/quantized-rows.js';
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
  unit,
} from './matrices.js';

after(releasePool);

const FORMS: readonly BlockForm[] = [
  { bits: 4, blockSize: 32 },
  { bits: 4, blockSize: 128 },
  { bits: 4, blockSize: 16 },
  { bits: 8, blockSize: 32 },
  { bits: 8, blockSize: 128 },
];

/** The weights `[N, K]` by the formula of the operator's documentation, and nothing of what quantized them. */
async function dequantized(
  { values, scales }: Quantized,
  form: BlockForm,
  inputs: number,
): Promise<Float32Array> {
  const [outputs = 0, blocks = 0, blob = 0] = values.shape;
  const bytes = await collect(values);
  const scale = await floats(scales);
  return Float32Array.from({ length: outputs * inputs }, (_, i) => {
    const [n, k] = [Math.floor(i / inputs), i % inputs];
    const block = n * blocks + Math.floor(k / form.blockSize);
    const index = k % form.blockSize;
    if (form.bits === 8) return (bytes[block * blob + index]! - 128) * scale[block]!;
    const byte = bytes[block * blob + Math.floor(index / 2)]!;
    return ((index % 2 === 0 ? byte & 15 : byte >> 4) - 8) * scale[block]!;
  });
}

const range = (count: number, value: (i: number) => number) =>
  Float32Array.from({ length: count }, (_, i) => value(i));

describe('blocks by hand', () => {
  it('hold sixteen levels of four bits exactly, the first of two in the low half', async () => {
    const { values, scales, error } = quantizeBlockRows(
      tensorOf(
        range(16, (i) => (i - 8) / 2),
        [1, 16],
      ),
      {
        bits: 4,
        blockSize: 16,
      },
    );
    assert.deepEqual(
      [values.dtype, values.shape, scales.dtype, scales.shape],
      ['uint8', [1, 1, 8], 'float32', [1, 1]],
    );
    assert.deepEqual([...(await collect(values))], [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
    assert.deepEqual([...(await floats(scales))], [0.5]);
    assert.equal(error(), 0);
  });

  it('have a negative scale where the extreme weight is positive', async () => {
    const { values, scales } = quantizeBlockRows(
      tensorOf(
        range(16, (i) => (8 - i) / 2),
        [1, 16],
      ),
      {
        bits: 4,
        blockSize: 16,
      },
    );
    assert.deepEqual([...(await collect(values))], [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
    assert.deepEqual([...(await floats(scales))], [-0.5]);
  });

  it('of eight bits lie around 128', async () => {
    const row = [127, -127, 1, 0, 0.5, 1.5, -63.5, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    const { values, scales } = quantizeBlockRows(tensorOf(Float32Array.from(row), [1, 16]), {
      bits: 8,
      blockSize: 16,
    });
    assert.deepEqual([...(await collect(values))].slice(0, 9), [255, 1, 129, 128, 128, 130, 64, 130, 128]);
    assert.deepEqual([...(await floats(scales))], [1]);
  });

  it('are filled up with zeros at the end of a row, and are all zero where the weights are', async () => {
    for (const bits of [4, 8] as const) {
      const row = range(40, (i) => (i < 32 ? 0 : 1));
      const { values, scales, error } = quantizeBlockRows(tensorOf(row, [1, 40]), { bits, blockSize: 16 });
      const bytes = bits * 2;
      const zero = bits === 4 ? 0x88 : 128;
      assert.deepEqual(values.shape, [1, 3, bytes]);
      const found = await collect(values);
      assert.ok(found.subarray(0, 2 * bytes).every((byte) => byte === zero));
      assert.ok(found.subarray(2.5 * bytes).every((byte) => byte === zero));
      const [first, second, third] = await floats(scales);
      assert.deepEqual([first, second], [0, 0]);
      const one = bits === 4 ? (found[2 * bytes]! & 15) - 8 : found[2 * bytes]! - 128;
      assertClose([one * third!], [1], 1e-7, 'a one');
      assert.ok(error() < 1e-7);
    }
  });

  it('of nothing but zeros have no error', async () => {
    const { values, error } = quantizeBlocks(tensorOf(new Float32Array(64), [16, 4]), {
      bits: 4,
      blockSize: 16,
    });
    assert.ok((await collect(values)).every((byte) => byte === 0x88));
    assert.equal(error(), 0);
  });

  it('survive numbers at both ends of float32', async () => {
    for (const size of [1e-45, 1e-38, 3e38]) {
      const weights = range(16, (i) => (i % 2 === 0 ? size : -size));
      const { values, scales, error } = quantizeBlockRows(tensorOf(weights, [1, 16]), {
        bits: 4,
        blockSize: 16,
      });
      await collect(values);
      assert.ok((await floats(scales)).every(Number.isFinite));
      // The smallest float32 has no eighth; it becomes 0, and the error all there is.
      assert.ok(size === 1e-45 ? error() <= 1 : error() < 0.1, `${size}: ${error()}`);
    }
  });
});

describe('onnxruntime’s MatMulNBits', () => {
  for (const form of FORMS) {
    const what = `${form.bits} bits in blocks of ${form.blockSize}`;
    const [inputs, outputs] = [200, 24]; // 200 is no multiple of any block
    const weights = gaussian(inputs * outputs);
    const kernel = tensorOf(weights, [inputs, outputs]);
    const nodeOf = (quantized: Quantized, accuracy: number) => ({
      name: 'com.microsoft.MatMulNBits',
      inputs: ['x', quantized.values, quantized.scales] as const,
      attributes: {
        K: inputs,
        N: outputs,
        bits: form.bits,
        block_size: form.blockSize,
        accuracy_level: accuracy,
      },
    });

    it(`reads ${what} as the formula does`, async () => {
      const quantized = quantizeBlocks(kernel, form);
      const found = await runOperator({
        ...nodeOf(quantized, 0),
        x: unit(inputs),
        output: { dtype: 'float32', shape: [inputs, outputs] },
      });
      const expected = transposed(await dequantized(quantized, form, inputs), outputs, inputs);
      // Products with 1 and 0, summed up: exact but for the rounding of a sum.
      assertClose(found, expected, 2e-7 * 8, 'the weights');
      assertClose([relativeError(Float32Array.from(found), weights)], [quantized.error()], 1e-6, 'the error');
    });

    it(`multiplies by ${what} at accuracy level 4`, async () => {
      const quantized = quantizeBlocks(kernel, form);
      const rows = 5;
      const x = gaussian(rows * inputs, 7);
      const found = await runOperator({
        ...nodeOf(quantized, 4),
        x: { dtype: 'float32', data: x, shape: [rows, inputs] },
        output: { dtype: 'float32', shape: [rows, outputs] },
      });
      const w = await dequantized(quantized, form, inputs);
      const expected = range(rows * outputs, (i) => {
        const [row, n] = [Math.floor(i / outputs), i % outputs];
        let sum = 0;
        for (let k = 0; k < inputs; k++) sum += x[row * inputs + k]! * w[n * inputs + k]!;
        return sum;
      });
      // The other operand is rounded to eight bits: 0.5 to 0.9 % (onnxruntime's own, with weights that are exact).
      assert.ok(relativeError(Float32Array.from(found), expected) < 0.015, 'off by more than eight bits are');
    });
  }
});

describe('blocks do not depend on how a matrix lies', () => {
  const [inputs, outputs] = [100, 37];
  const columns = gaussian(inputs * outputs, 3);
  const rows = transposed(columns, inputs, outputs);

  for (const dtype of ['float32', 'bfloat16', 'float16', 'float64'] as const) {
    it(`in ${dtype}`, async () => {
      for (const form of FORMS) {
        const kernel = tensorOf(columns, [inputs, outputs], dtype);
        const table = tensorOf(rows, [outputs, inputs], dtype);
        const expected = quantizeBlockRows(tensorOf(await floats(table), [outputs, inputs]), form);
        const read = async ({ values, scales }: Quantized) => [await collect(values), await floats(scales)];
        const same = await read(expected);
        for (const [what, quantized] of Object.entries({
          table: quantizeBlockRows(table, form),
          kernel: quantizeBlocks(kernel, form),
          'kernel in pieces': quantizeBlocks(inPieces(kernel, 24), form),
          'transposed table': quantizeBlocks(swapAxes(table), form),
        })) {
          assert.deepEqual(await read(quantized), same, what);
          assert.equal(quantized.error(), expected.error());
        }
      }
    });
  }

  it('when merged from transposed parts', async () => {
    const parts = [0, 1].map((i) => tensorOf(gaussian(20 * 64, i + 1), [20, 64]));
    const merged = quantizeBlocks(mergeColumns(parts.map(swapAxes)), { bits: 4, blockSize: 32 });
    const single = parts.map((part) => quantizeBlockRows(part, { bits: 4, blockSize: 32 }));
    const bytes = await Promise.all(single.map(({ values }) => collect(values)));
    assert.deepEqual(Buffer.from(await collect(merged.values)), Buffer.concat(bytes));
  });
});

describe('blocks are read', () => {
  const form: BlockForm = { bits: 4, blockSize: 32 };
  const kernel = tensorOf(gaussian(64 * 48), [64, 48]);

  it('with one reading of the kernel, values first', async () => {
    const source = counted(kernel);
    const { values, scales, error } = quantizeBlocks(source.tensor, form);
    assert.throws(error, /not known before/);
    await collect(values);
    await collect(scales);
    assert.equal(source.reads(), 1);
    assert.ok(error() > 0.05);
  });

  it('in any order, and again', async () => {
    const { values, scales } = quantizeBlocks(kernel, form);
    const [first, second] = [await collect(scales), await collect(values)];
    const [third, fourth] = [await collect(values), await collect(scales)];
    const [fifth, sixth] = await Promise.all([collect(scales), collect(values)]);
    assert.deepEqual([third, fourth, fifth, sixth], [second, first, first, second]);
  });
});

describe('four bits are better than plain rounding', () => {
  /** The error of the nearest of 15 levels around 0, the extreme weight being 7. */
  function plainError(rows: Float32Array, blockSize: number): number {
    const rounded = rows.slice();
    for (let start = 0; start < rows.length; start += blockSize) {
      const scale = Math.max(...rows.subarray(start, start + blockSize).map(Math.abs)) / 7;
      for (let i = start; i < start + blockSize; i++) rounded[i] = Math.round(rows[i]! / scale) * scale;
    }
    return relativeError(rounded, rows);
  }

  // Blocks of 32: 9.7 to 8.1 %; of 128: 11.7 to 9.7 %. A search of forty scales gains a fiftieth of that more.
  const LIMITS = { 32: 0.85, 128: 0.84 };

  const cases: Record<string, () => Promise<Float32Array>> = {
    Gaussian: async () => gaussian(384 * 512),
    trained: async () => {
      const folder = fileURLToPath(new URL('../../fixtures/factbook/griffin', import.meta.url));
      const { checkpoint, model } = await openModel(folder, { modelConfig: `${folder}/model-config.json` });
      const kernel = model.tensors.get('blocks.0.mlp_block.ffw_down.kernel')!;
      const rows = await floats(swapAxes(kernel));
      await checkpoint.close();
      return rows;
    },
  };
  for (const [what, weights] of Object.entries(cases)) {
    for (const [size, limit] of Object.entries(LIMITS)) {
      it(`by a sixth on ${what} weights in blocks of ${size}`, async () => {
        const rows = await weights();
        const blockSize = Number(size);
        const table = tensorOf(rows, [rows.length / 384, 384]);
        const { values, error } = quantizeBlockRows(table, { bits: 4, blockSize });
        await collect(values);
        const plain = plainError(rows, blockSize);
        assert.ok(error() < limit * plain, `${error()} against ${plain}`);
      });
    }
  }
});
