/** How coarsely a model rounds, and how far its results may stray for that. */

import type { Manifest } from '../manifest.js';
import { PRECISIONS, type Precision } from '../quantize/precision.js';

/** The coarser of its matrices and its state. */
export function roundingOf({ precision, state }: Manifest): Precision {
  const exact = state.every(({ dtype }) => dtype === 'float32');
  return exact ? precision : coarser(precision, 'int8');
}

/** The coarser of two. */
export function coarser(a: Precision, b: Precision): Precision {
  return PRECISIONS[Math.max(PRECISIONS.indexOf(a), PRECISIONS.indexOf(b))]!;
}

/** Whether values are rounded to eight bits while the model runs. */
export function roundsValues(rounding: Precision): boolean {
  return rounding === 'int8' || rounding === 'int4';
}
