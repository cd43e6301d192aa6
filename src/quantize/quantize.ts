/** Quantizes a whole matrix: reads it once, keeps every thread at work, and hands out the rows in order. */

import { pieceCast } from '../graph/cast.js';
import { borrowShared, giveBack } from '../graph/scratch.js';
import { UnfitWeightError } from '../graph/unfit-weight.js';
import { type BandJob, type BandResult, type Encoding, rowBytes } from './band.js';
import { enterPool, leavePool } from './pool.js';
import { type Band, bandRows, bands, memoryFor, type Source } from './source.js';

/** How a matrix is to be stored. */
export interface Form {
  readonly encoding: Encoding;
  /** Weights of a row that share a scale. */
  readonly blockSize: number;
}

/** Some rows, quantized. */
export interface QuantizedBand {
  readonly first: number;
  readonly count: number;
  /** The rows as they are stored; nothing where they went elsewhere. */
  readonly values: Uint8Array;
  /** `[count, ceil(K / blockSize)]`. */
  readonly scales: Float32Array;
  /** Sums of the squares of the weights, and of their errors. */
  readonly norm: number;
  readonly error: number;
}

/** Where the values go: to the receiver, into an int8 matrix `[K, outputs]` in shared memory, or nowhere. */
export type Destination = 'receiver' | 'nowhere' | Uint8Array<SharedArrayBuffer>;

/**
 * Quantizes the rows of a matrix. A band is the receiver's until it asks for the next one. The result does not depend on the threads.
 * @throws UnfitWeightError where a weight is not finite.
 */
export async function* quantize(
  source: Source,
  form: Form,
  destination: Destination = 'receiver',
): AsyncGenerator<QuantizedBand> {
  const { dtype } = source.tensor;
  // Throws, here and not in a thread, for what is no floating dtype.
  if (dtype !== 'float32') pieceCast(dtype, 'float32');
  const place = placesOf(source, form, destination);
  const threads = enterPool();
  const slots = threads.depth;
  const memory = borrowShared(memoryFor(source, slots));
  const output = borrowShared(slots * place.bytes);
  const running: Promise<QuantizedBand>[] = [];
  try {
    let slot = 0;
    for await (const band of bands(source, memory, slots)) {
      const bytes = output.subarray(slot * place.bytes, (slot + 1) * place.bytes);
      slot = (slot + 1) % slots;
      const job = place.job(band, bytes);
      const result = threads.run(job).then((done) => finished(source, job, done));
      result.catch(() => {}); // thrown where it is awaited
      running.push(result);
      if (running.length === slots) yield await running.shift()!;
    }
    while (running.length > 0) yield await running.shift()!;
  } finally {
    // The threads write into this memory until they are done.
    await Promise.allSettled(running);
    giveBack(memory);
    giveBack(output);
    leavePool();
  }
}

/** How a slot of the output is divided: the scales of a band, then its values. */
function placesOf(source: Source, { encoding, blockSize }: Form, destination: Destination) {
  const { inputs, outputs, tensor, lies } = source;
  const blocks = Math.ceil(inputs / blockSize);
  const scaleBytes = bandRows(source) * blocks * Float32Array.BYTES_PER_ELEMENT;
  const width = destination === 'receiver' ? rowBytes(inputs, blockSize, encoding) : 0;
  const bytes = Math.ceil((scaleBytes + bandRows(source) * width) / 4) * 4;
  const job = ({ bytes: band, first, count }: Band, slot: Uint8Array): BandJob => ({
    source: band,
    dtype: tensor.dtype,
    columns: lies === 'columns' ? outputs : undefined,
    first,
    count,
    inputs,
    blockSize,
    encoding,
    scales: new Float32Array(slot.buffer, slot.byteOffset, count * blocks),
    ...(destination === 'receiver' && { values: slot.subarray(scaleBytes, scaleBytes + count * width) }),
    ...(destination instanceof Uint8Array && { values: destination, outputs }),
  });
  return { bytes, job };
}

function finished(source: Source, { first, count, scales, values, outputs }: BandJob, result: BandResult) {
  if (!('norm' in result)) {
    const place = source.at(result.row, result.input).join(', ');
    throw new UnfitWeightError(`holds ${result.value} at [${place}]; only finite numbers can be quantized.`);
  }
  return {
    first,
    count,
    scales,
    values: outputs === undefined && values ? values : new Uint8Array(0),
    ...result,
  };
}

/** The relative Frobenius error of a matrix, summed up band by band. */
export class ErrorSum {
  #norm = 0;
  #error = 0;

  add({ norm, error }: QuantizedBand): void {
    this.#norm += norm;
    this.#error += error;
  }

  /** `|w - q| / |w|`; 0 where all weights are 0. */
  get relative(): number {
    return this.#norm === 0 ? 0 : Math.sqrt(this.#error / this.#norm);
  }
}
