/** Weights in blocks along K with one scale each, in the layout of com.microsoft's `MatMulNBits`. */

import type { LazyTensor } from '../graph/lazy-tensor.js';
import { rowBytes } from './band.js';
import { type Quantized, quantizedRows } from './quantized-rows.js';
import { columnsOf, rowsOf, type Source } from './source.js';

/** Bits of a value, and values of a block. */
export interface BlockForm {
  readonly bits: 4 | 8;
  /** A power of two, at least 16. */
  readonly blockSize: number;
}

/**
 * A kernel `[K, N]` of any float dtype, symmetric around the zero point 2^(bits - 1), which is not stored: values uint8
 * `[N, ceil(K / block), block * bits / 8]`, of two 4-bit values in a byte the first in the low half; scales float32
 * `[N, ceil(K / block)]`. `w ≈ (value - zero point) * scale`; a scale may be negative.
 */
export function quantizeBlocks(kernel: LazyTensor, form: BlockForm): Quantized {
  return inBlocks(columnsOf(kernel), form);
}

/** The same for a matrix that lies output by output: a table `[V, D]`, N = V and K = D. */
export function quantizeBlockRows(table: LazyTensor, form: BlockForm): Quantized {
  return inBlocks(rowsOf(table), form);
}

function inBlocks(source: Source, { bits, blockSize }: BlockForm): Quantized {
  const encoding = bits === 4 ? 'uint4' : 'uint8';
  const scales = [source.outputs, Math.ceil(source.inputs / blockSize)];
  const values = [...scales, rowBytes(blockSize, blockSize, encoding)];
  return quantizedRows(source, { encoding, blockSize }, { dtype: 'uint8', values, scales });
}
