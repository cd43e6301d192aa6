/**
 * Reads a chunked array in row-major order without ever holding a chunk: chunks that lie side by side are decoded in lock
 * step, each as far as the next run of elements needs it. (Writing each chunk where it belongs as it comes costs seven times
 * the processor time with column shards, and needs a writer that can seek.)
 */

import { elementCount, itemBytes, type Shape } from '../../graph/dtype.js';
import type { ChunkedArray } from './chunked-array.js';
import { blame } from './damage.js';
import { type Band, OpenChunks } from './open-chunks.js';

/** Size of the pieces handed out, a multiple of every element size. */
const PIECE_BYTES = 1024 * 1024;

/** The elements of an array, row-major and little-endian, in pieces of up to 1 MiB whose memory is used again. */
export async function* readChunks(array: ChunkedArray): AsyncGenerator<Uint8Array> {
  const item = itemBytes(array.dtype);
  const grid = foldTrailingAxes(array);
  const width = grid.chunkShape.at(-1)!;
  const rowLength = grid.shape.at(-1)!;
  const piece = new Uint8Array(Math.min(PIECE_BYTES, elementCount(array.shape) * item));
  let filled = 0;
  const chunks = new OpenChunks(array);
  try {
    for (const row of rows(grid)) {
      for (let column = 0; column * width < rowLength; column++) {
        const chunk = chunks.get(row.band, column) ?? (await chunks.open(row.band, column));
        let at = row.inChunk * width * item;
        const end = at + Math.min(width, rowLength - column * width) * item;
        while (at < end) {
          const length = Math.min(end - at, piece.length - filled);
          // Mostly the bytes are there already, and awaiting each of millions of short runs would double the time.
          const wait = chunk.read(at, piece.subarray(filled, filled + length));
          if (wait !== undefined) await wait;
          at += length;
          filled += length;
          if (filled === piece.length) {
            yield piece;
            filled = 0;
          }
        }
        if (row.isLast) await chunks.finish(row.band, column);
      }
    }
    if (filled > 0) yield piece.subarray(0, filled);
  } catch (error) {
    throw blame(error, `The array "${array.name}"`, { tensor: array.name });
  } finally {
    await chunks.closeAll();
  }
}

/** A grid of chunks whose last axis may stand for several of the array's. */
interface Grid {
  readonly shape: Shape;
  readonly chunkShape: Shape;
}

/** One row of the array: all its axes but the last are fixed. */
interface Row {
  /** The chunks that the row crosses. */
  readonly band: Band;
  /** Which row of those chunks it is. */
  readonly inChunk: number;
  /** No later row crosses these chunks. */
  readonly isLast: boolean;
}

/** The rows of a grid, in row-major order. */
function* rows({ shape, chunkShape }: Grid): Generator<Row> {
  if (elementCount(shape) === 0) return;
  const count = elementCount(shape) / shape.at(-1)!;
  const at = new Array<number>(shape.length - 1).fill(0);
  for (let row = 0; row < count; row++) {
    const index = at.map((i, axis) => Math.floor(i / chunkShape[axis]!));
    yield {
      band: { id: index.join('.'), index },
      inChunk: at.reduce((place, i, axis) => place * chunkShape[axis]! + (i % chunkShape[axis]!), 0),
      isLast: at.every((i, axis) => i === shape[axis]! - 1 || (i + 1) % chunkShape[axis]! === 0),
    };
    for (let axis = at.length - 1; axis >= 0; axis--) {
      at[axis]!++;
      if (at[axis]! < shape[axis]!) break;
      at[axis] = 0;
    }
  }
}

/** Joins trailing axes that no chunk boundary cuts with the axis before them: the runs get longer by as much. */
function foldTrailingAxes(array: ChunkedArray): Grid {
  const shape = array.shape.length === 0 ? [1] : [...array.shape];
  const chunkShape = array.chunkShape.length === 0 ? [1] : [...array.chunkShape];
  while (shape.length > 1 && shape.at(-1) === chunkShape.at(-1)) {
    const size = shape.pop()!;
    chunkShape.pop();
    shape[shape.length - 1]! *= size;
    chunkShape[chunkShape.length - 1]! *= size;
  }
  return { shape, chunkShape };
}
