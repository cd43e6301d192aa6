/** From scores to the weights of attention. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';

/** What both forms take beside the scores. */
export interface Masking {
  /** `[batch, time, 1, keys]`, added to the scores. */
  readonly mask: Value;
  readonly heads: number;
}

/** The softmax of `scores` `[batch, heads*time, keys]` plus `mask` `[batch, time, 1, keys]`, in the shape of the scores. */
export function maskedSoftmax(m: Scope, scores: Value, masking: Masking): Value {
  return m.reshape(m.softmax(masked(m, scores, masking)), scores.axes);
}

/**
 * The softmax before it is divided by its total: `weights` in the shape of the scores, the largest 1, and `total` `[batch, heads*time, 1]`. Added up in float64, so that
 * the order of the keys changes nothing that float32 shows.
 */
export function unscaledSoftmax(m: Scope, scores: Value, masking: Masking): { weights: Value; total: Value } {
  const sums = m.reshape(masked(m, scores, masking), scores.axes);
  const weights = m.exp(m.sub(sums, m.maxLast(sums)));
  return { weights, total: m.cast(m.sumLast(m.cast(weights, 'float64')), 'float32') };
}

function masked(m: Scope, scores: Value, { mask, heads }: Masking): Value {
  return m.add(m.reshape(scores, ['batch', 'time', heads, mask.axes[3]!]), mask);
}
