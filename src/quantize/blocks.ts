/** Weights in blocks along K with one scale each, in the layout of com.microsoft's `MatMulNBits`. */

import { RecgemmaError } from '../errors.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';

/** Bits of a value, and values of a block. */
export interface BlockForm {
  readonly bits: 4 | 8;
  /** A power of two, at least 16. */
  readonly blockSize: number;
}

/** A quantized matrix, symmetric: the zero point is 2^(bits - 1) and not stored. */
export interface QuantizedBlocks {
  /** uint8 `[N, ceil(K / block), block * bits / 8]`; of two 4-bit values in a byte, the low nibble comes first. */
  readonly values: LazyTensor;
  /** float32 `[N, ceil(K / block)]`. */
  readonly scales: LazyTensor;
  /** The weights' relative Frobenius error, known once the values were read. */
  error(): number;
}

/** A kernel `[K, N]` of any float dtype. */
export function quantizeBlocks(kernel: LazyTensor, form: BlockForm): QuantizedBlocks {
  throw new RecgemmaError('failed', `not there yet: ${kernel.shape} ${form.bits}`);
}

/** The same for a matrix that lies output by output: a table `[V, D]`, N = V and K = D. Streams. */
export function quantizeBlockRows(table: LazyTensor, form: BlockForm): QuantizedBlocks {
  throw new RecgemmaError('failed', `not there yet: ${table.shape} ${form.bits}`);
}
