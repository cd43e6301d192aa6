/** The chunks of an array that are being read: opened when a row first crosses them, closed after the last row that does. */

import { elementCount, itemBytes } from '../../graph/dtype.js';
import { type ChunkSource, FillSource, StreamSource } from './chunk-source.js';
import type { ChunkedArray } from './chunked-array.js';
import { Damage } from './damage.js';

/** Chunks side by side, all open at once with some hundred kB to 2 MB each. Orbax has one a device. */
const MAX_OPEN_CHUNKS = 256;

/** A place among the chunks: all axes but the last, and those again as one string. */
export interface Band {
  readonly id: string;
  readonly index: readonly number[];
}

/** Chunks by band and column (their place along the last axis that chunks divide). */
export class OpenChunks {
  readonly #array: ChunkedArray;
  readonly #find: ReturnType<ChunkedArray['finder']>;
  readonly #bands = new Map<string, Map<number, ChunkSource>>();
  #count = 0;

  constructor(array: ChunkedArray) {
    this.#array = array;
    this.#find = array.finder();
  }

  /** A chunk that is open already. */
  get(band: Band, column: number): ChunkSource | undefined {
    return this.#bands.get(band.id)?.get(column);
  }

  async open(band: Band, column: number): Promise<ChunkSource> {
    if (++this.#count > MAX_OPEN_CHUNKS) {
      throw new Damage(`more than ${MAX_OPEN_CHUNKS} of its chunks lie side by side`);
    }
    const known = [...band.index, column];
    // Axes that no chunk divides have one chunk each.
    const source = await this.#source(this.#array.shape.map((_, axis) => known[axis] ?? 0));
    const columns = this.#bands.get(band.id);
    if (columns === undefined) this.#bands.set(band.id, new Map([[column, source]]));
    else columns.set(column, source);
    return source;
  }

  /** Closes a chunk that no later row needs; throws {@link Damage} where it has more or fewer bytes than it should. */
  async finish(band: Band, column: number): Promise<void> {
    const columns = this.#bands.get(band.id);
    await columns?.get(column)?.finish();
    if (columns?.delete(column)) this.#count--;
    if (columns?.size === 0) this.#bands.delete(band.id);
  }

  async closeAll(): Promise<void> {
    for (const columns of this.#bands.values()) {
      for (const source of columns.values()) await source.close();
    }
    this.#bands.clear();
  }

  async #source(index: readonly number[]): Promise<ChunkSource> {
    const { chunkShape, dtype, fill } = this.#array;
    const chunk = await this.#find(index);
    if (chunk !== undefined) return new StreamSource(chunk, elementCount(chunkShape) * itemBytes(dtype));
    if (fill !== undefined) return new FillSource(fill);
    throw new Damage(`its chunk ${index.join('.') || '0'} is missing`, { truncated: true });
  }
}
