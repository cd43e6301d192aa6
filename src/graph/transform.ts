/** Tensors made from tensors without reading them yet: casts, transposes, stacks and merges, each piece by piece where it can. */

import { RecgemmaError } from '../errors.js';
import { pieceCast } from './cast.js';
import { type DType, elementCount, itemBytes, type Shape, tensorBytes } from './dtype.js';
import type { LazyTensor } from './lazy-tensor.js';
import { borrow, giveBack } from './scratch.js';

/** Output is made in pieces of about this many bytes: large enough for fast system calls, small enough for the caches. */
const PIECE_BYTES = 4 << 20;

/** The same elements as another floating dtype; widening is exact, and narrowing is not offered. */
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

/** Swaps the first two axes: `[a, b, …]` to `[b, a, …]`. Holds the whole tensor, in its own dtype, while it is read. */
export function swapAxes(tensor: LazyTensor): LazyTensor {
  const [a = 1, b = 1, ...rest] = tensor.shape;
  const inner = elementCount(rest) * itemBytes(tensor.dtype);
  return {
    dtype: tensor.dtype,
    shape: [b, a, ...rest],
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
    async *read() {
      for (const tensor of parts) yield* tensor.read();
    },
  };
}

/** Element `index` of the first axis: `[a, …]` to `[…]`. */
export function takeFirst(tensor: LazyTensor, index: number): LazyTensor {
  const shape = tensor.shape.slice(1);
  const bytes = tensorBytes(tensor.dtype, shape);
  return {
    dtype: tensor.dtype,
    shape,
    async *read() {
      let start = -index * bytes;
      for await (const piece of tensor.read()) {
        const part = piece.subarray(Math.max(0, -start), Math.max(0, bytes - start));
        if (part.byteLength > 0) yield part;
        start += piece.byteLength;
        if (start >= bytes) return;
      }
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
  return {
    dtype: first.dtype,
    shape: [...first.shape.slice(0, -1), width],
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
export async function collect(tensor: LazyTensor): Promise<Uint8Array> {
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

interface Band {
  /** Rows and columns of the source, and bytes of one of its elements (or runs of elements). */
  readonly rows: number;
  readonly columns: number;
  readonly itemBytes: number;
  /** First source column of the band, and how many. */
  readonly start: number;
  readonly count: number;
}

/** Writes columns `start … start + count` of the source as rows of the target. */
function transposeBand(source: Uint8Array, target: Uint8Array, band: Band): void {
  if (band.itemBytes === 2) {
    transposeItems(as(Uint16Array, source), as(Uint16Array, target), band);
  } else if (band.itemBytes === 4) {
    transposeItems(as(Uint32Array, source), as(Uint32Array, target), band);
  } else {
    const { rows, columns, itemBytes: size, start, count } = band;
    for (let c = 0; c < count; c++) {
      for (let r = 0; r < rows; r++) {
        const from = (r * columns + start + c) * size;
        target.set(source.subarray(from, from + size), (c * rows + r) * size);
      }
    }
  }
}

/** The bytes as items of another size, in place. */
function as<A>(type: new (buffer: ArrayBufferLike, offset: number) => A, bytes: Uint8Array): A {
  return new type(bytes.buffer, bytes.byteOffset);
}

/** Rows that are transposed together: a tile of 32 x 32 four-byte items and its transpose fit in the first-level cache. */
const TILE = 32;

function transposeItems<A extends Uint16Array | Uint32Array>(source: A, target: A, band: Band): void {
  const { rows, columns, start, count } = band;
  for (let r0 = 0; r0 < rows; r0 += TILE) {
    const r1 = Math.min(r0 + TILE, rows);
    for (let c0 = 0; c0 < count; c0 += TILE) {
      const c1 = Math.min(c0 + TILE, count);
      for (let c = c0; c < c1; c++) {
        let to = c * rows + r0;
        let from = r0 * columns + start + c;
        for (let r = r0; r < r1; r++, from += columns) target[to++] = source[from]!;
      }
    }
  }
}

/** Takes bytes out of a stream of pieces in runs of any length. */
class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** Copies `runs` runs of `runBytes` each from the stream to `target`, `strideBytes` apart, from `offset` on. */
  async scatter(
    target: Uint8Array,
    layout: { offset: number; runBytes: number; strideBytes: number; runs: number },
  ): Promise<void> {
    for (let run = 0; run < layout.runs; run++) {
      let to = layout.offset + run * layout.strideBytes;
      const end = to + layout.runBytes;
      while (to < end) {
        if (this.#at === this.#piece.byteLength) await this.#next();
        const count = Math.min(end - to, this.#piece.byteLength - this.#at);
        target.set(this.#piece.subarray(this.#at, this.#at + count), to);
        this.#at += count;
        to += count;
      }
    }
  }

  /** Reads on to the end, where readers make their last checks; throws where bytes are left. */
  async expectEnd(): Promise<void> {
    const { done } = await this.#pieces.next();
    if (!done || this.#at < this.#piece.byteLength) {
      throw new RecgemmaError('failed', 'a tensor has more bytes than its shape');
    }
  }

  /** Lets the stream give back what it holds; harmless at its end. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #next(): Promise<void> {
    const { value, done } = await this.#pieces.next();
    if (done) throw new RecgemmaError('failed', 'a tensor ended before its shape was filled');
    this.#piece = value;
    this.#at = 0;
  }
}
