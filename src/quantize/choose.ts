/** Chooses by measured error how an int8 matrix is stored. */

import type { LazyTensor } from '../graph/lazy-tensor.js';
import { ErrorSum, quantize } from './quantize.js';
import { columnsOf, type Source } from './source.js';

/** One scale a column in each of some groups of K, for `MatMulInteger`, or blocks of 8 bits, for `MatMulNBits`. */
export type Int8Form =
  | { readonly kind: 'columns'; readonly groups: 1 | 2 | 4 }
  | { readonly kind: 'blocks'; readonly blockSize: 128 };

/** A form and the relative Frobenius error that it gives the weights. */
export interface MeasuredForm {
  readonly form: Int8Form;
  readonly error: number;
}

/** What was chosen, and what it was compared with. */
export interface Int8Choice extends MeasuredForm {
  /** The forms that were measured, in that order. */
  readonly tried: readonly MeasuredForm[];
}

/** From the fastest form to the one that an outlier harms least. */
const FORMS: readonly Int8Form[] = [
  { kind: 'columns', groups: 1 },
  { kind: 'columns', groups: 2 },
  { kind: 'columns', groups: 4 },
  { kind: 'blocks', blockSize: 128 },
];

/**
 * Twice what Gaussian weights have with one scale a column (0.75 % at 2560 inputs, 0.8 % at 7680), and a sixth of what they have in
 * int4. What rounding adds to a model's loss goes with the square of this.
 */
const GOOD_ENOUGH = 0.016;

/**
 * Measures the forms in turn, reading the kernel `[K, N]` for each, until one has a small enough error; the last is taken whatever
 * its error.
 */
export async function chooseInt8Form(kernel: LazyTensor): Promise<Int8Choice> {
  const source = columnsOf(kernel);
  const tried: MeasuredForm[] = [];
  for (const form of FORMS) {
    if (form.kind === 'columns' && source.inputs % form.groups !== 0) continue;
    const blockSize = form.kind === 'columns' ? source.inputs / form.groups : form.blockSize;
    tried.push({ form, error: await measure(source, blockSize) });
    if (tried.at(-1)!.error <= GOOD_ENOUGH) break;
  }
  return { ...tried.at(-1)!, tried };
}

async function measure(source: Source, blockSize: number): Promise<number> {
  const sum = new ErrorSum();
  for await (const band of quantize(source, { encoding: 'int8', blockSize }, 'nowhere')) sum.add(band);
  return sum.relative;
}
