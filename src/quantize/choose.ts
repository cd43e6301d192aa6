/** Chooses by measured error how an int8 matrix is stored. */

import { RecgemmaError } from '../errors.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';

/** One scale a column in each of some groups of K, or `MatMulNBits` blocks of 8 bits. */
export type Int8Form =
  | { readonly kind: 'columns'; readonly groups: 1 | 2 | 4 }
  | { readonly kind: 'blocks'; readonly blockSize: 128 };

/** A form, and what it was chosen by. */
export interface Int8Choice {
  readonly form: Int8Form;
  /** The chosen form's relative Frobenius error. */
  readonly error: number;
  /** Those of the forms that were tried. */
  readonly tried: readonly { readonly form: Int8Form; readonly error: number }[];
}

/** The plainest form of a kernel `[K, N]` whose error is small enough. */
export async function chooseInt8Form(kernel: LazyTensor): Promise<Int8Choice> {
  throw new RecgemmaError('failed', `not there yet: ${kernel.shape}`);
}
