/** Matrices to quantize, and what onnxruntime makes of the result. */

import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { DType, Shape } from '../../src/graph/dtype.js';
import { type Attribute, Graph, type Value } from '../../src/graph/graph.js';
import type { LazyTensor } from '../../src/graph/lazy-tensor.js';
import { MODEL_FILE, saveModel } from '../../src/graph/save.js';
import { castTensor, collect, memoryTensor } from '../../src/graph/transform.js';
import { temporaryFolder } from '../support/goldens.js';

/** Normally distributed numbers, the same for the same seed. */
export function gaussian(count: number, seed = 1): Float32Array {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

/** A tensor of these numbers, which `dtype` may round toward zero. */
export function tensorOf(numbers: Float32Array, shape: Shape, dtype: DType = 'float32'): LazyTensor {
  const wide = memoryTensor('float32', shape, new Uint8Array(numbers.buffer));
  if (dtype === 'float32') return wide;
  if (dtype === 'float16') return castTensor(wide, 'float16');
  const stored =
    dtype === 'float64'
      ? Float64Array.from(numbers)
      : Uint16Array.from(new Uint32Array(numbers.buffer), (bits) => bits >>> 16);
  return memoryTensor(dtype, shape, new Uint8Array(stored.buffer));
}

/** The tensor in pieces of other sizes, as it may come from a file. */
export function inPieces(tensor: LazyTensor, bytes: number): LazyTensor {
  return {
    ...tensor,
    async *read() {
      const all = await collect(tensor);
      for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, at + bytes);
    },
  };
}

/** How often a tensor is read. */
export function counted(tensor: LazyTensor): { tensor: LazyTensor; reads(): number } {
  let reads = 0;
  return {
    tensor: {
      ...tensor,
      read() {
        reads++;
        return tensor.read();
      },
    },
    reads: () => reads,
  };
}

/** A tensor's elements as float32. */
export async function floats(tensor: LazyTensor): Promise<Float32Array> {
  return new Float32Array((await collect(castTensor(tensor, 'float32'))).buffer);
}

/** `[rows, columns]` to `[columns, rows]`. */
export function transposed<T extends Float32Array | Int8Array>(matrix: T, rows: number, columns: number): T {
  const result = matrix.slice() as T;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = matrix[r * columns + c]!;
  }
  return result;
}

/** The relative Frobenius error of one array against another. */
export function relativeError(actual: Float32Array, expected: Float32Array): number {
  let error = 0;
  let norm = 0;
  for (const [i, value] of expected.entries()) {
    error += (actual[i]! - value) ** 2;
    norm += value ** 2;
  }
  return Math.sqrt(error / norm);
}

/** What onnxruntime's operator gives for weights and one input `x`, all of the input's rows at once. */
export async function runOperator(operator: {
  readonly name: string;
  readonly x: {
    readonly dtype: 'float32' | 'uint8';
    readonly data: Float32Array | Uint8Array;
    readonly shape: Shape;
  };
  /** In the order of the operator's inputs, `x` at its place. */
  readonly inputs: readonly (LazyTensor | 'x' | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly output: { readonly dtype: DType; readonly shape: Shape };
}): Promise<ArrayLike<number>> {
  const { name, x, inputs, attributes, output } = operator;
  const graph = new Graph('operator');
  const fed = graph.input('x', x.dtype, x.shape);
  const values = inputs.map((input, i): Value | undefined =>
    input === 'x' ? fed : input && graph.weight(`weight_${i}`, input),
  );
  const [result] = graph.node(
    'test',
    name,
    values,
    [{ dtype: output.dtype, axes: output.shape }],
    attributes,
  );
  graph.output('y', result!);
  const folder = await temporaryFolder();
  await saveModel(graph, folder, { producerVersion: '0', metadata: {} });
  const session = await InferenceSession.create(join(folder, MODEL_FILE), { logSeverityLevel: 3 });
  const { y } = await session.run({ x: new Tensor(x.dtype, x.data, [...x.shape]) });
  await session.release();
  return y!.data as Float32Array;
}

/** The unit matrix, by which a product gives the other matrix. */
export function unit(size: number): { dtype: 'float32'; data: Float32Array; shape: Shape } {
  const data = new Float32Array(size * size);
  for (let i = 0; i < size; i++) data[i * size + i] = 1;
  return { dtype: 'float32', data, shape: [size, size] };
}
