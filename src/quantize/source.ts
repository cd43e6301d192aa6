/** A matrix to quantize as rows, one an output and K inputs long, however it lies in the checkpoint; read band by band into shared memory. */

import { RecgemmaError } from '../errors.js';
import { ByteReader } from '../graph/byte-reader.js';
import { itemBytes, tensorBytes } from '../graph/dtype.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';

/** Where the rows of a matrix come from. */
export interface Source {
  /** `[outputs, K]`, or `[K, outputs]`: the rows are its columns then. */
  readonly tensor: LazyTensor;
  readonly lies: 'rows' | 'columns';
  readonly outputs: number;
  /** K. */
  readonly inputs: number;
  /** The indices of a weight as whoever asked for it knows them. */
  readonly at: (row: number, input: number) => readonly [number, number];
}

/** Some rows in shared memory. */
export interface Band {
  /** `[count, K]`, or the whole `[K, outputs]`. */
  readonly bytes: Uint8Array;
  readonly first: number;
  readonly count: number;
}

/** Weights of a band: a thread works on it for some ten milliseconds. */
const BAND_WEIGHTS = 1 << 20;

/** The columns of a kernel `[K, N]`. */
export function columnsOf(kernel: LazyTensor): Source {
  const [inputs, outputs] = matrixShape(kernel);
  const at = (row: number, input: number) => [input, row] as const;
  return kernel.transposed
    ? { tensor: kernel.transposed, lies: 'rows', outputs, inputs, at }
    : { tensor: kernel, lies: 'columns', outputs, inputs, at };
}

/** The rows of a table `[V, D]`. */
export function rowsOf(table: LazyTensor): Source {
  const [outputs, inputs] = matrixShape(table);
  return { tensor: table, lies: 'rows', outputs, inputs, at: (row, input) => [row, input] };
}

function matrixShape({ shape }: LazyTensor): [number, number] {
  const [rows, columns] = shape;
  if (shape.length !== 2 || !rows || !columns) {
    throw new RecgemmaError('failed', `cannot quantize a tensor of shape [${shape.join(', ')}]`);
  }
  return [rows, columns];
}

/** Rows of a band, but for the last. */
export function bandRows({ outputs, inputs }: Source): number {
  return Math.min(outputs, Math.max(1, Math.floor(BAND_WEIGHTS / inputs)));
}

/** Bytes that {@link bands} needs for `slots` bands at a time. A matrix that lies in columns is held whole. */
export function memoryFor(source: Source, slots: number): number {
  const { dtype, shape } = source.tensor;
  return source.lies === 'columns'
    ? tensorBytes(dtype, shape)
    : slots * bandRows(source) * source.inputs * itemBytes(dtype);
}

/** Reads a matrix once. A band's place in `memory` is taken by another one `slots` bands later. */
export async function* bands(source: Source, memory: Uint8Array, slots: number): AsyncGenerator<Band> {
  const { tensor, outputs, inputs } = source;
  const step = bandRows(source);
  const rowBytes = inputs * itemBytes(tensor.dtype);
  const reader = new ByteReader(tensor.read());
  try {
    if (source.lies === 'columns') await reader.fill(memory);
    for (let first = 0, band = 0; first < outputs; first += step, band++) {
      const count = Math.min(step, outputs - first);
      const start = (band % slots) * step * rowBytes;
      const bytes = source.lies === 'rows' ? memory.subarray(start, start + count * rowBytes) : memory;
      if (source.lies === 'rows') await reader.fill(bytes);
      yield { bytes, first, count };
    }
    await reader.expectEnd();
  } finally {
    await reader.close();
  }
}
