/** From scores to the weights of attention. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';

/** What both forms take beside the scores. */
export interface Masking {
  /** `[batch, 1, time, 1, keys]`, added to the scores. */
  readonly mask: Value;
  /** Heads that share a key-value head. */
  readonly group: number;
}

/** The softmax of `scores` `[batch, kv_heads, group*time, keys]` plus the mask, in the shape of the scores. */
export function maskedSoftmax(m: Scope, scores: Value, masking: Masking): Value {
  return m.reshape(m.softmax(masked(m, scores, masking)), scores.axes);
}

/**
 * The softmax before it is divided by its total: `weights` in the shape of the scores, the largest 1, and `total` `[batch, kv_heads, group*time, 1]`. Added up in float64, so
 * that the order of the keys changes nothing that float32 shows.
 */
export function unscaledSoftmax(m: Scope, scores: Value, masking: Masking): { weights: Value; total: Value } {
  const sums = m.reshape(masked(m, scores, masking), scores.axes);
  const weights = m.exp(m.sub(sums, m.maxLast(sums)));
  return { weights, total: m.cast(m.sumLast(m.cast(weights, 'float64')), 'float32') };
}

function masked(m: Scope, scores: Value, { mask, group }: Masking): Value {
  const [batch, kvHeads] = scores.axes as [string, number];
  return m.add(m.reshape(scores, [batch, kvHeads, 'time', group, mask.axes[4]!]), mask);
}
