/** Quantizes a band of a matrix: what one thread does at a time. Matrices are seen here as rows, one an output, K inputs long. */

import { type PieceCast, pieceCast } from '../graph/cast.js';
import { type DType, itemBytes } from '../graph/dtype.js';
import { borrow, giveBack } from '../graph/scratch.js';
import { transposeBand } from '../graph/transpose.js';
import { absMaxScale, ROUNDER, searchedScale } from './scale.js';

/**
 * How rounded weights are stored: `int8` as they are, -127 … 127; `uint8` plus 128; `uint4` plus 8, two in a byte, the first in the
 * low half. The last two fill the last block of a row up with zeros.
 */
export type Encoding = 'int8' | 'uint8' | 'uint4';

/** Rows to quantize, and where to put them. All arrays lie in shared memory. */
export interface BandJob {
  /** `[count, K]`, or where `columns` is given, a whole matrix `[K, columns]`. */
  readonly source: Uint8Array;
  readonly dtype: DType;
  readonly columns?: number | undefined;
  /** The first row of the band and how many it has; rows are columns of the source where that is `[K, columns]`. */
  readonly first: number;
  readonly count: number;
  /** K. */
  readonly inputs: number;
  /** Weights of a row that share a scale. */
  readonly blockSize: number;
  readonly encoding: Encoding;
  /** float32 `[count, ceil(K / blockSize)]`. */
  readonly scales: Float32Array;
  /** `[count, bytes of a row]`, or where `outputs` is given, int8 `[K, outputs]` of which the band is some columns; without, only errors are found. */
  readonly values?: Uint8Array | undefined;
  readonly outputs?: number | undefined;
}

/** Squares of the weights and of their errors, summed; or the place of a weight that is no finite float32. */
export type BandResult =
  | { readonly norm: number; readonly error: number }
  | { readonly row: number; readonly input: number; readonly value: number };

/** Rows that are worked on together have about this many weights, so that they stay in the second-level cache. */
const TILE_WEIGHTS = 64 << 10;

/** Bytes of a row of `inputs` weights as it is stored. */
export function rowBytes(inputs: number, blockSize: number, encoding: Encoding): number {
  if (encoding === 'int8') return inputs;
  const padded = Math.ceil(inputs / blockSize) * blockSize;
  return encoding === 'uint8' ? padded : padded / 2;
}

/** Rows of a band that are worked on together. */
interface Tile {
  /** The first row, counted in the band, and how many there are. */
  readonly start: number;
  readonly rows: number;
  /** `[rows, K]`. */
  readonly weights: Float32Array;
  /** int8 `[rows, pitch]`: the weights as whole numbers, and zeros. */
  readonly rounded: Uint8Array;
  readonly pitch: number;
}

/** Does one job. */
export function quantizeBand(job: BandJob): BandResult {
  const { count, inputs, blockSize, encoding } = job;
  const step = Math.min(count, Math.max(1, Math.floor(TILE_WEIGHTS / inputs)));
  const pitch = encoding === 'int8' ? inputs : Math.ceil(inputs / blockSize) * blockSize;
  const rounded = borrow(step * pitch);
  const stored = borrow(step * inputs * itemBytes(job.dtype));
  const sums: Sums = new Float64Array(2);
  try {
    for (let start = 0; start < count; start += step) {
      const rows = Math.min(step, count - start);
      const tile = { start, rows, weights: readRows(job, stored, start, rows), rounded, pitch };
      for (let row = 0; row < rows; row++) {
        quantizeRow(job, tile, row, sums);
        // Whatever is not finite makes the error so, and nothing else does.
        if (!Number.isFinite(sums[1])) return unfit(job, tile, row);
      }
      if (job.values) store(job, tile, job.values);
    }
    return { norm: sums[0]!, error: sums[1]! };
  } finally {
    giveBack(rounded);
    giveBack(stored);
  }
}

/** The squares of weights, and of what they are off. */
type Sums = Float64Array;

/** Rows `start … start + rows` of the band as float32, valid until the next call. */
function readRows(job: BandJob, stored: Uint8Array, start: number, rows: number): Float32Array {
  const { source, dtype, columns, first, inputs } = job;
  const size = itemBytes(dtype);
  let bytes = stored.subarray(0, rows * inputs * size);
  if (columns === undefined) {
    bytes = source.subarray(start * inputs * size, (start + rows) * inputs * size);
  } else {
    transposeBand(source, bytes, {
      rows: inputs,
      columns,
      itemBytes: size,
      start: first + start,
      count: rows,
    });
  }
  const wide = dtype === 'float32' ? bytes : castOf(dtype)(bytes);
  return new Float32Array(wide.buffer, wide.byteOffset, rows * inputs);
}

const casts = new Map<DType, PieceCast>();

function castOf(dtype: DType): PieceCast {
  const cast = casts.get(dtype) ?? pieceCast(dtype, 'float32')();
  casts.set(dtype, cast);
  return cast;
}

function unfit({ first, inputs }: BandJob, { start, weights }: Tile, row: number): BandResult {
  const values = weights.subarray(row * inputs, (row + 1) * inputs);
  const input = values.findIndex((value) => !Number.isFinite(value));
  return { row: first + start + row, input, value: values[input]! };
}

/** Rounds one row of the tile, block by block, and adds to the sums. */
function quantizeRow(job: BandJob, { start, weights, rounded, pitch }: Tile, row: number, sums: Sums): void {
  const { inputs, blockSize, encoding, scales } = job;
  const blocks = Math.ceil(inputs / blockSize);
  const four = encoding === 'uint4';
  for (let block = 0; block < blocks; block++) {
    const from = row * inputs + block * blockSize;
    const to = Math.min(from + blockSize, (row + 1) * inputs);
    const scale = four ? searchedScale(weights, from, to) : absMaxScale(weights, from, to);
    scales[(start + row) * blocks + block] = scale;
    round(weights, from, to, scale, four ? 8 : 128, rounded, row * pitch + block * blockSize, sums);
  }
  rounded.fill(0, row * pitch + inputs, (row + 1) * pitch);
}

/** Writes the whole numbers next to `w / scale`, from `-limit` to `limit - 1`, and adds to the sums. */
function round(
  x: Float32Array,
  start: number,
  end: number,
  scale: number,
  limit: number,
  rounded: Uint8Array,
  at: number,
  sums: Sums,
): void {
  const inverse = scale === 0 ? 0 : 1 / scale;
  const high = limit - 1;
  let norm = 0;
  let error = 0;
  for (let i = start; i < end; i++) {
    const w = x[i]!;
    let q = w * inverse + ROUNDER - ROUNDER;
    if (q > high) q = high;
    else if (q < -limit) q = -limit;
    const off = w - q * scale;
    norm += w * w;
    error += off * off;
    rounded[at++] = q;
  }
  sums[0]! += norm;
  sums[1]! += error;
}

/** Puts the rounded rows of a tile into their place. */
function store(job: BandJob, { start, rows, rounded, pitch }: Tile, values: Uint8Array): void {
  const { inputs, blockSize, encoding, first, outputs } = job;
  const count = rows * pitch;
  const at = start * rowBytes(inputs, blockSize, encoding);
  if (encoding === 'uint4') {
    for (let i = 0; i < count; i += 2) {
      values[at + (i >> 1)] = ((rounded[i]! + 8) & 15) | (((rounded[i + 1]! + 8) & 15) << 4);
    }
  } else if (encoding === 'uint8') {
    for (let i = 0; i < count; i++) values[at + i] = rounded[i]! + 128;
  } else if (outputs === undefined) {
    values.set(rounded.subarray(0, count), at);
  } else {
    const band = { rows, columns: inputs, itemBytes: 1, start: 0, count: inputs, pitch: outputs };
    transposeBand(rounded, values.subarray(first + start), band);
  }
}
