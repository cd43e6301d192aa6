/**
 * Reads a chunked array in row-major order without ever holding a chunk: chunks that lie side by side are decoded in lock
 * step, each as far as the next run of elements needs it. (Writing each chunk where it belongs as it comes costs seven times
 * the processor time with column shards, and needs a writer that can seek.)
 */

import { elementCount, itemBytes, type Shape } from '../../graph/dtype.js';
import { type ChunkSource, FillSource, StreamSource } from './chunk-source.js';
import type { ChunkedArray } from './chunked-array.js';
import { blame, Damage } from './damage.js';

/** Size of the pieces handed out, a multiple of every element size. */
const PIECE_BYTES = 1024 * 1024;

/** Chunks side by side in one band, all open at once with some hundred kB to 2 MB each. Orbax has one a device. */
const MAX_OPEN_CHUNKS = 256;

/** The elements of an array, row-major and little-endian, in pieces of up to 1 MiB whose memory is used again. */
export async function* readChunks(array: ChunkedArray): AsyncGenerator<Uint8Array> {
  const item = itemBytes(array.dtype);
  const total = elementCount(array.shape) * item;
  const piece = new Uint8Array(Math.min(PIECE_BYTES, total));
  let filled = 0;
  const open = new Map<string, ChunkSource>();
  const find = array.finder();
  try {
    for (const run of runs(array)) {
      const id = run.chunk.join('.');
      const source = open.get(id) ?? (await openSource(array, find, run.chunk));
      open.set(id, source);
      if (open.size > MAX_OPEN_CHUNKS) {
        throw new Damage(`more than ${MAX_OPEN_CHUNKS} of its chunks lie side by side`);
      }
      let at = run.offset * item;
      const end = at + run.length * item;
      while (at < end) {
        const length = Math.min(end - at, piece.length - filled);
        await source.read(at, piece.subarray(filled, filled + length));
        at += length;
        filled += length;
        if (filled === piece.length) {
          yield piece;
          filled = 0;
        }
      }
      if (run.last) {
        open.delete(id);
        await source.finish();
      }
    }
    if (filled > 0) yield piece.subarray(0, filled);
  } catch (error) {
    throw blame(error, `The array "${array.name}"`, { tensor: array.name });
  } finally {
    for (const source of open.values()) await source.close();
  }
}

async function openSource(
  array: ChunkedArray,
  find: ReturnType<ChunkedArray['finder']>,
  index: readonly number[],
): Promise<ChunkSource> {
  const chunk = await find(index);
  if (chunk !== undefined) {
    return new StreamSource(chunk, elementCount(array.chunkShape) * itemBytes(array.dtype));
  }
  if (array.fill !== undefined) return new FillSource(array.fill);
  throw new Damage(`its chunk ${index.join('.') || '0'} is missing`, { truncated: true });
}

/** Elements that lie together both in the array and in one chunk. */
interface Run {
  /** Place of the chunk in the grid. */
  readonly chunk: readonly number[];
  /** First element within the chunk, and number of elements. */
  readonly offset: number;
  readonly length: number;
  /** No later run needs this chunk. */
  readonly last: boolean;
}

/** Cuts an array into runs, in row-major order. */
function* runs(array: ChunkedArray): Generator<Run> {
  const { shape, chunkShape, foldedAxes } = foldTrailingAxes(array);
  if (elementCount(shape) === 0) return;
  const columns = shape.length - 1;
  const width = chunkShape[columns]!;
  const rowIndex = new Array<number>(columns).fill(0);
  const padding = new Array<number>(foldedAxes).fill(0);
  const rows = elementCount(shape.slice(0, columns));
  for (let row = 0; row < rows; row++) {
    const chunkOfRow = rowIndex.map((at, axis) => Math.floor(at / chunkShape[axis]!));
    const rowInChunk = rowIndex.reduce((at, i, axis) => at * chunkShape[axis]! + (i % chunkShape[axis]!), 0);
    const last = rowIndex.every((at, axis) => at === shape[axis]! - 1 || (at + 1) % chunkShape[axis]! === 0);
    for (let column = 0; column * width < shape[columns]!; column++) {
      yield {
        chunk: array.shape.length === 0 ? [] : [...chunkOfRow, column, ...padding],
        offset: rowInChunk * width,
        length: Math.min(width, shape[columns]! - column * width),
        last,
      };
    }
    for (let axis = columns - 1; axis >= 0; axis--) {
      rowIndex[axis]!++;
      if (rowIndex[axis]! < shape[axis]!) break;
      rowIndex[axis] = 0;
    }
  }
}

/** Joins trailing axes that no chunk boundary cuts with the axis before them: the runs get longer by as much. */
function foldTrailingAxes(array: ChunkedArray): { shape: Shape; chunkShape: Shape; foldedAxes: number } {
  const shape = array.shape.length === 0 ? [1] : [...array.shape];
  const chunkShape = array.chunkShape.length === 0 ? [1] : [...array.chunkShape];
  let foldedAxes = 0;
  while (shape.length > 1 && shape.at(-1) === chunkShape.at(-1)) {
    const size = shape.pop()!;
    chunkShape.pop();
    shape[shape.length - 1]! *= size;
    chunkShape[chunkShape.length - 1]! *= size;
    foldedAxes++;
  }
  return { shape, chunkShape, foldedAxes };
}
