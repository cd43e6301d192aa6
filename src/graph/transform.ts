/** Tensors made from tensors without reading them yet: casts, transposes, stacks and merges, each piece by piece where it can. */

import { RecgemmaError } from '../errors.js';
import { ByteReader } from './byte-reader.js';
import { pieceCast } from './cast.js';
import { type DType, elementCount, itemBytes, type Shape, tensorBytes } from './dtype.js';
import type { LazyTensor } from './lazy-tensor.js';
import { borrow, giveBack } from './scratch.js';
import { transposeBand } from './transpose.js';

/** Output is made in pieces of about this many bytes: large enough for fast system calls, small enough for the caches. */
const PIECE_BYTES = 4 << 20;

/**
 * The same elements as float32, or as the nearest float16. A finite element beyond float16 makes reading throw an InputError.
 */
export function castTensor(tensor: LazyTensor, dtype: DType): LazyTensor {
  if (tensor.dtype === dtype) return tensor;
  const convert = pieceCast(tensor.dtype, dtype);
  return {
    dtype,
    shape: tensor.shape,
    async *read() {
      const cast = convert();
      for await (const piece of tensor.read()) yield cast(piece);
    },
  };
}

/** The same bytes under another shape of equally many elements. */
export function reshapeTensor(tensor: LazyTensor, shape: Shape): LazyTensor {
  if (elementCount(tensor.shape) !== elementCount(shape)) {
    throw new RecgemmaError('failed', `cannot reshape [${tensor.shape.join(', ')}] to [${shape.join(', ')}]`);
  }
  return { dtype: tensor.dtype, shape, read: () => tensor.read() };
}

/**
 * Swaps the first two axes: `[a, b, …]` to `[b, a, …]`; done twice, it gives the tensor itself back. Holds the whole tensor, in its
 * own dtype, while it is read.
 */
export function swapAxes(tensor: LazyTensor): LazyTensor {
  if (tensor.transposed) return tensor.transposed;
  const [a = 1, b = 1, ...rest] = tensor.shape;
  const inner = elementCount(rest) * itemBytes(tensor.dtype);
  return {
    dtype: tensor.dtype,
    shape: [b, a, ...rest],
    transposed: tensor,
    async *read() {
      const source = borrow(a * b * inner);
      const step = Math.max(1, Math.floor(PIECE_BYTES / (a * inner)));
      const band = borrow(Math.min(step, b) * a * inner);
      try {
        await fill(source, tensor);
        for (let start = 0; start < b; start += step) {
          const count = Math.min(step, b - start);
          const target = band.subarray(0, count * a * inner);
          transposeBand(source, target, { rows: a, columns: b, itemBytes: inner, start, count });
          yield target;
        }
      } finally {
        giveBack(source);
        giveBack(band);
      }
    },
  };
}

/** Several tensors of one shape as one with a new first axis. */
export function stackTensors(tensors: readonly LazyTensor[]): LazyTensor {
  const parts = alike(tensors);
  return {
    dtype: parts[0].dtype,
    shape: [parts.length, ...parts[0].shape],
    parts,
    async *read() {
      for (const tensor of parts) yield* tensor.read();
    },
  };
}

/** Element `index` of the first axis: `[a, …]` to `[…]`. Of a stack it is the part itself; else what lies before is read too. */
export function takeFirst(tensor: LazyTensor, index: number): LazyTensor {
  return tensor.parts?.[index] ?? reshapeTensor(takeRows(tensor, index, 1), tensor.shape.slice(1));
}

/** Elements `first` to `first + count` of the first axis: `[a, …]` to `[count, …]`. What lies before is read too. */
export function takeRows(tensor: LazyTensor, first: number, count: number): LazyTensor {
  const rest = tensor.shape.slice(1);
  const shape = [count, ...rest];
  const bytes = tensorBytes(tensor.dtype, shape);
  return {
    dtype: tensor.dtype,
    shape,
    async *read() {
      let start = -tensorBytes(tensor.dtype, [first, ...rest]);
      for await (const piece of tensor.read()) {
        const part = piece.subarray(Math.max(0, -start), Math.max(0, bytes - start));
        if (part.byteLength > 0) yield part;
        start += piece.byteLength;
        if (start >= bytes) return;
      }
    },
  };
}

/** Matrices of equally many columns, one below the other: `[a, …]` and `[b, …]` to `[a + b, …]`. */
function mergeRows(tensors: readonly LazyTensor[]): LazyTensor {
  const parts = alike(tensors);
  const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  return {
    dtype: parts[0].dtype,
    shape: [rows, ...parts[0].shape.slice(1)],
    async *read() {
      for (const tensor of parts) yield* tensor.read();
    },
  };
}

/** Tensors that differ only in their last axis, side by side: `[…, a]` and `[…, b]` to `[…, a + b]`. */
export function mergeColumns(tensors: readonly LazyTensor[]): LazyTensor {
  const parts = alike(tensors);
  const first = parts[0];
  if (parts.length === 1) return first;
  const columns = parts.map((tensor) => tensor.shape.at(-1)!);
  const width = columns.reduce((sum, count) => sum + count, 0);
  const rows = elementCount(first.shape.slice(0, -1));
  const size = itemBytes(first.dtype);
  const transposed = parts.flatMap((tensor) => (tensor.shape.length === 2 && tensor.transposed) || []);
  return {
    dtype: first.dtype,
    shape: [...first.shape.slice(0, -1), width],
    ...(transposed.length === parts.length && { transposed: mergeRows(transposed) }),
    async *read() {
      const readers = parts.map((tensor) => new ByteReader(tensor.read()));
      const step = Math.max(1, Math.floor(PIECE_BYTES / (width * size)));
      const band = borrow(Math.min(step, rows) * width * size);
      try {
        for (let start = 0; start < rows; start += step) {
          const runs = Math.min(step, rows - start);
          let offset = 0;
          for (const [i, reader] of readers.entries()) {
            const runBytes = columns[i]! * size;
            await reader.scatter(band, { offset, runBytes, strideBytes: width * size, runs });
            offset += runBytes;
          }
          yield band.subarray(0, runs * width * size);
        }
        for (const reader of readers) await reader.expectEnd();
      } finally {
        giveBack(band);
        for (const reader of readers) await reader.close();
      }
    },
  };
}

/** A tensor whose bytes are already in memory. */
export function memoryTensor(dtype: DType, shape: Shape, bytes: Uint8Array): LazyTensor {
  return {
    dtype,
    shape,
    async *read() {
      yield bytes;
    },
  };
}

/** All bytes of a tensor in one array. */
export async function collect(tensor: LazyTensor): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(tensorBytes(tensor.dtype, tensor.shape));
  await fill(bytes, tensor);
  return bytes;
}

async function fill(bytes: Uint8Array, tensor: LazyTensor): Promise<void> {
  let at = 0;
  for await (const piece of tensor.read()) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  if (at !== bytes.byteLength) {
    throw new RecgemmaError('failed', `a tensor gave ${at} of ${bytes.byteLength} bytes`);
  }
}

/** The tensors as they are where all have one dtype, else all as float32. */
function alike(tensors: readonly LazyTensor[]): [LazyTensor, ...LazyTensor[]] {
  const [first, ...rest] = tensors;
  if (!first) throw new RecgemmaError('failed', 'nothing to put together');
  if (rest.every((tensor) => tensor.dtype === first.dtype)) return [first, ...rest];
  return [castTensor(first, 'float32'), ...rest.map((tensor) => castTensor(tensor, 'float32'))];
}
