/** From masked scores to weights that sum to 1. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';

/** The softmax of `scores` `[batch, heads*time, keys]` plus `mask` `[batch, time, 1, keys]`, in the shape of the scores. */
export function maskedSoftmax(
  m: Scope,
  scores: Value,
  { mask, heads }: { readonly mask: Value; readonly heads: number },
): Value {
  const masked = m.add(m.reshape(scores, ['batch', 'time', heads, mask.axes[3]!]), mask);
  return m.reshape(m.softmax(masked), scores.axes);
}
