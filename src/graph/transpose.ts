/** Transposes matrices in memory, a band of columns at a time. */

/** Which columns of a matrix become rows, and how its elements lie. */
export interface Band {
  /** Rows and columns of the source, and bytes of one of its elements (or runs of elements). */
  readonly rows: number;
  readonly columns: number;
  readonly itemBytes: number;
  /** First source column of the band, and how many. */
  readonly start: number;
  readonly count: number;
  /** Elements from one row of the target to the next; the source's rows where none are to be left out. */
  readonly pitch?: number;
}

/** Writes columns `start … start + count` of the source as rows of the target. */
export function transposeBand(source: Uint8Array, target: Uint8Array, band: Band): void {
  if (band.itemBytes === 1) {
    transposeItems(source, target, band);
  } else if (band.itemBytes === 2) {
    transposeItems(as(Uint16Array, source), as(Uint16Array, target), band);
  } else if (band.itemBytes === 4) {
    transposeItems(as(Uint32Array, source), as(Uint32Array, target), band);
  } else {
    const { rows, columns, itemBytes: size, start, count, pitch = rows } = band;
    for (let c = 0; c < count; c++) {
      for (let r = 0; r < rows; r++) {
        const from = (r * columns + start + c) * size;
        target.set(source.subarray(from, from + size), (c * pitch + r) * size);
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

function transposeItems<A extends Uint8Array | Uint16Array | Uint32Array>(
  source: A,
  target: A,
  band: Band,
): void {
  const { rows, columns, start, count, pitch = rows } = band;
  for (let r0 = 0; r0 < rows; r0 += TILE) {
    const r1 = Math.min(r0 + TILE, rows);
    for (let c0 = 0; c0 < count; c0 += TILE) {
      const c1 = Math.min(c0 + TILE, count);
      for (let c = c0; c < c1; c++) {
        let to = c * pitch + r0;
        let from = r0 * columns + start + c;
        for (let r = r0; r < r1; r++, from += columns) target[to++] = source[from]!;
      }
    }
  }
}
