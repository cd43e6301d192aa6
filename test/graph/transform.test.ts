/** Transposes, stacks and merges of unread tensors against plain nested loops, whatever pieces the tensors come in. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DType, elementCount, itemBytes, type Shape } from '../../src/graph/dtype.js';
import type { LazyTensor } from '../../src/graph/lazy-tensor.js';
import {
  castTensor,
  collect,
  memoryTensor,
  mergeColumns,
  reshapeTensor,
  stackTensors,
  swapAxes,
  takeFirst,
} from '../../src/graph/transform.js';

/** A tensor of distinct bytes whose pieces take `pieceElements` each; as readers may, it reuses one buffer for all pieces. */
function tensorOf(dtype: DType, shape: Shape, pieceElements = 7, seed = 1): LazyTensor {
  const size = itemBytes(dtype);
  const bytes = elementBytes(dtype, shape, seed);
  return {
    dtype,
    shape,
    async *read() {
      const piece = new Uint8Array(pieceElements * size);
      for (let at = 0; at < bytes.length; at += piece.length) {
        const part = bytes.subarray(at, at + piece.length);
        piece.fill(0xee);
        piece.set(part);
        yield piece.subarray(0, part.length);
      }
    },
  };
}

function elementBytes(dtype: DType, shape: Shape, seed: number): Uint8Array {
  const count = elementCount(shape) * itemBytes(dtype);
  return Uint8Array.from(
    { length: count },
    (_, i) => (Math.imul(i + 1, 2654435761 + 2 * seed) >>> 13) & 0xff,
  );
}

/** Element by element: the value at `[r, c]` of the result is the one that `from(r, c)` cuts out. */
function gatherRows(rows: number, columns: number, from: (r: number, c: number) => Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) parts.push(from(r, c));
  return Buffer.concat(parts);
}

const at = (bytes: Uint8Array, index: number, size: number) =>
  bytes.subarray(index * size, (index + 1) * size);

function assertBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.ok(Buffer.compare(actual, expected) === 0, `${what} differs`);
}

describe('swapping the first two axes', () => {
  const cases: [DType, Shape][] = [
    ['float32', [5, 3]],
    ['float32', [1, 9]],
    ['float32', [9, 1]],
    ['float32', [67, 131]],
    ['bfloat16', [40, 33]],
    ['float64', [6, 5]],
    ['uint8', [6, 5]],
    ['float32', [2, 5, 3]],
    ['bfloat16', [3, 4, 2]],
    ['uint8', [3, 5, 2, 2]],
  ];
  for (const [dtype, shape] of cases) {
    it(`of ${dtype} [${shape.join(', ')}]`, async () => {
      const [a, b, ...rest] = shape as [number, number, ...number[]];
      const size = elementCount(rest) * itemBytes(dtype);
      const bytes = elementBytes(dtype, shape, 1);
      const swapped = swapAxes(tensorOf(dtype, shape));
      assert.deepEqual([swapped.dtype, swapped.shape], [dtype, [b, a, ...rest]]);
      const expected = gatherRows(b, a, (r, c) => at(bytes, c * b + r, size));
      assertBytes(await collect(swapped), expected, 'the transpose');
    });
  }

  it('of more than one piece of output', async () => {
    const [rows, columns] = [3, 500_000];
    const values = Float32Array.from({ length: rows * columns }, (_, i) => i);
    const source = memoryTensor('float32', [rows, columns], new Uint8Array(values.buffer));
    const pieces: Float32Array[] = [];
    for await (const piece of swapAxes(source).read()) pieces.push(new Float32Array(piece.slice().buffer));
    assert.ok(pieces.length > 1);
    let index = 0;
    for (const value of pieces.flatMap((piece) => [...piece])) {
      const [r, c] = [Math.floor(index / rows), index % rows];
      if (value !== c * columns + r) assert.fail(`element ${index} is ${value}`);
      index++;
    }
    assert.equal(index, rows * columns);
  });
});

describe('stacking and merging', () => {
  it('stacks along a new first axis', async () => {
    const stacked = stackTensors([1, 2, 3].map((seed) => tensorOf('bfloat16', [4, 5], 7, seed)));
    assert.deepEqual([stacked.dtype, stacked.shape], ['bfloat16', [3, 4, 5]]);
    const expected = Buffer.concat([1, 2, 3].map((seed) => elementBytes('bfloat16', [4, 5], seed)));
    assertBytes(await collect(stacked), expected, 'the stack');
  });

  for (const pieces of [1, 3, 7, 1000]) {
    it(`merges columns of tensors that come in pieces of ${pieces}`, async () => {
      const widths = [3, 1, 6];
      const shapes = widths.map((width) => [2, 11, width]);
      const merged = mergeColumns(shapes.map((shape, i) => tensorOf('float32', shape, pieces + i, i)));
      assert.deepEqual(merged.shape, [2, 11, 10]);
      const sources = shapes.map((shape, i) => elementBytes('float32', shape, i));
      const expected = gatherRows(22, 10, (r, c) => {
        const part = c < 3 ? 0 : c < 4 ? 1 : 2;
        const column = c - [0, 3, 4][part]!;
        return at(sources[part]!, r * widths[part]! + column, 4);
      });
      assertBytes(await collect(merged), expected, 'the merge');
    });
  }

  it('merges biases, of one axis', async () => {
    const merged = mergeColumns([tensorOf('float32', [3], 2, 1), tensorOf('float32', [4], 2, 2)]);
    assert.deepEqual(merged.shape, [7]);
    const expected = Buffer.concat([elementBytes('float32', [3], 1), elementBytes('float32', [4], 2)]);
    assertBytes(await collect(merged), expected, 'the merge');
  });

  it('merges more than one piece of output', async () => {
    const [rows, columns] = [2000, 400];
    const parts = [0, 1].map((part) => {
      const values = Float32Array.from({ length: rows * columns }, (_, i) => 2 * i + part);
      return memoryTensor('float32', [rows, columns], new Uint8Array(values.buffer));
    });
    let [index, pieces] = [0, 0];
    for await (const piece of mergeColumns(parts).read()) {
      pieces++;
      for (const value of new Float32Array(piece.slice().buffer)) {
        const [r, c] = [Math.floor(index / (2 * columns)), index % (2 * columns)];
        const expected = 2 * (r * columns + (c % columns)) + (c < columns ? 0 : 1);
        if (value !== expected) assert.fail(`element ${index} is ${value}, not ${expected}`);
        index++;
      }
    }
    assert.ok(pieces > 1);
    assert.equal(index, 2 * rows * columns);
  });

  it('widens to float32 where the dtypes differ', async () => {
    const half = memoryTensor('float16', [1, 1], new Uint8Array([0x00, 0x3c]));
    const brain = memoryTensor('bfloat16', [1, 1], new Uint8Array([0x00, 0xc0]));
    for (const tensor of [mergeColumns([half, brain]), stackTensors([half, brain])]) {
      assert.equal(tensor.dtype, 'float32');
      assert.deepEqual([...new Float32Array((await collect(tensor)).buffer)], [1, -2]);
    }
  });

  it('of nothing is a mistake', () => {
    assert.throws(() => stackTensors([]), /nothing to put together/);
    assert.throws(() => mergeColumns([]), /nothing to put together/);
  });
});

describe('what lies the other way in the checkpoint', () => {
  const stored = [1, 2].map((seed) => tensorOf('bfloat16', [3 + seed, 5], 7, seed));
  const columns = stored.map(swapAxes);

  it('is the tensor itself when swapped twice', () => {
    assert.equal(swapAxes(columns[0]!), stored[0]);
    assert.equal(columns[0]!.transposed, stored[0]);
  });

  it('is read row by row when merged columns are swapped', async () => {
    const merged = mergeColumns(columns);
    assert.deepEqual(merged.shape, [5, 9]);
    const rows = swapAxes(merged);
    assert.equal(rows, merged.transposed);
    assert.deepEqual(rows.shape, [9, 5]);
    const bytes = [elementBytes('bfloat16', [4, 5], 1), elementBytes('bfloat16', [5, 5], 2)];
    assertBytes(await collect(rows), Buffer.concat(bytes), 'the rows');
    const expected = gatherRows(5, 9, (r, c) =>
      c < 4 ? at(bytes[0]!, c * 5 + r, 2) : at(bytes[1]!, (c - 4) * 5 + r, 2),
    );
    assertBytes(await collect(merged), expected, 'the merge');
  });

  it('is not known of a merge with what lies the right way', () => {
    const merged = mergeColumns([columns[0]!, tensorOf('bfloat16', [5, 2])]);
    assert.equal(merged.transposed, undefined);
    assert.deepEqual(swapAxes(merged).shape, [6, 5]);
  });
});

describe('one element of the first axis', () => {
  it('of a stack is the part itself', () => {
    const parts = [1, 2].map((seed) => tensorOf('float32', [2, 3], 7, seed));
    const stacked = stackTensors(parts);
    assert.deepEqual(
      [0, 1].map((index) => takeFirst(stacked, index)),
      parts,
    );
  });

  for (const pieces of [1, 6, 7, 1000]) {
    it(`of a tensor that comes in pieces of ${pieces} is read out of it`, async () => {
      const whole = tensorOf('bfloat16', [3, 2, 5], pieces);
      const bytes = elementBytes('bfloat16', [3, 2, 5], 1);
      for (const index of [0, 1, 2]) {
        const element = takeFirst(whole, index);
        assert.deepEqual([element.dtype, element.shape], ['bfloat16', [2, 5]]);
        assertBytes(await collect(element), bytes.subarray(20 * index, 20 * index + 20), `element ${index}`);
      }
    });
  }
});

describe('two reads at once', () => {
  const source = (seed: number) => tensorOf('bfloat16', [12, 10], 7, seed);
  const tensors = {
    'of a transpose': swapAxes(source(1)),
    'of a merge of transposes': mergeColumns([swapAxes(source(1)), swapAxes(source(2))]),
    'of a cast merge': castTensor(mergeColumns([source(1), source(2)]), 'float32'),
  };
  for (const [what, tensor] of Object.entries(tensors)) {
    it(`${what} do not disturb each other`, async () => {
      const alone = await collect(tensor);
      const [first, second] = await Promise.all([collect(tensor), collect(tensor)]);
      assertBytes(first, alone, 'the first');
      assertBytes(second, alone, 'the second');
    });
  }

  it('of tensors of other sizes, one inside the other', async () => {
    const [large, small] = [swapAxes(source(1)), swapAxes(tensorOf('float32', [3, 2], 4, 2))];
    const expected = await Promise.all([large, small].map(collect));
    for await (const piece of large.read()) {
      assertBytes(await collect(small), expected[1]!, 'the inner');
      assertBytes(piece, expected[0]!, 'the outer');
    }
  });
});

describe('tensors that do not keep their word', () => {
  const short: LazyTensor = { ...memoryTensor('float32', [2, 2], new Uint8Array(12)) };
  const long: LazyTensor = { ...memoryTensor('float32', [2, 2], new Uint8Array(20)) };
  const good = memoryTensor('float32', [2, 2], new Uint8Array(16));

  it('are found when they are read', async () => {
    await assert.rejects(collect(short), /gave 12 of 16 bytes/);
    await assert.rejects(collect(mergeColumns([good, short])), /ended before its shape was filled/);
    await assert.rejects(collect(mergeColumns([good, long])), /more bytes than its shape/);
    await assert.rejects(collect(swapAxes(short)), /gave 12 of 16 bytes/);
  });

  it('are closed when a merge fails or is left', async () => {
    const closed: string[] = [];
    const watched = (name: string): LazyTensor => ({
      dtype: 'float32',
      shape: [2, 2],
      async *read() {
        try {
          yield new Uint8Array(8);
          yield new Uint8Array(8);
        } finally {
          closed.push(name);
        }
      },
    });
    await assert.rejects(collect(mergeColumns([watched('a'), watched('b'), short])));
    assert.deepEqual(closed, ['a', 'b']);
  });

  it('cannot be reshaped to another size', () => {
    assert.deepEqual(reshapeTensor(good, [4]).shape, [4]);
    assert.throws(() => reshapeTensor(good, [5]), /cannot reshape \[2, 2\] to \[5\]/);
  });
});
