/** A matrix stored row by row: its values stream while they are read, and its scales wait for their turn. */

import { RecgemmaError } from '../errors.js';
import type { DType, Shape } from '../graph/dtype.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import { ErrorSum, type Form, quantize } from './quantize.js';
import type { Source } from './source.js';

/** A quantized matrix as the tensors of a model file. */
export interface Quantized {
  readonly values: LazyTensor;
  /** float32. */
  readonly scales: LazyTensor;
  /** The weights' relative Frobenius error, known once the values were read. */
  error(): number;
}

/** Quantizes once for both tensors where the values are read first; scales that are read alone are computed for themselves. */
export function quantizedRows(
  source: Source,
  form: Form,
  stored: { dtype: DType; values: Shape; scales: Shape },
): Quantized {
  const blocks = Math.ceil(source.inputs / form.blockSize);
  let scales: Float32Array | undefined;
  let error: number | undefined;

  async function* values(): AsyncGenerator<Uint8Array> {
    const all = new Float32Array(source.outputs * blocks);
    const sum = new ErrorSum();
    for await (const band of quantize(source, form)) {
      all.set(band.scales, band.first * blocks);
      sum.add(band);
      yield band.values;
    }
    scales = all;
    error = sum.relative;
  }

  async function* scalesAlone(): AsyncGenerator<Uint8Array> {
    if (!scales) for await (const _ of values());
    const all = scales!;
    scales = undefined;
    yield* inPieces(new Uint8Array(all.buffer));
  }

  return {
    values: { dtype: stored.dtype, shape: stored.values, read: values },
    scales: { dtype: 'float32', shape: stored.scales, read: scalesAlone },
    error: () => known(error),
  };
}

/** An error that was asked for in time. */
export function known(error: number | undefined): number {
  if (error === undefined)
    throw new RecgemmaError('failed', 'the error of a matrix is not known before it is read');
  return error;
}

/** Bytes handed out at once. */
const PIECE_BYTES = 4 << 20;

/** An array as pieces of a tensor. */
export function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
