/** The tokens of one call: their ids, positions and padding, which every block looks at. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';

/** The graph's token inputs and what follows from them. */
export interface Sequence {
  /** int64 `[batch, time]`. */
  readonly ids: Value;
  /** Tokens already in the state, int64 `[batch]`. */
  readonly numTokens: Value;
  /** How many of the `time` tokens are no padding, int64 `[batch, 1]`. */
  readonly length: Value;
  /** Position of each token in its sequence, int64 `[batch, time]`. */
  readonly positions: Value;
  /** Which tokens are no padding, bool `[batch, time]`. */
  readonly valid: Value;
}

/** Declares `input_ids`, `num_tokens` and `padding`. Padding stands at the right end and leaves the state as it was. */
export function sequenceInputs(m: Scope): Sequence {
  const ids = m.graph.input('input_ids', 'int64', ['batch', 'time']);
  const numTokens = m.graph.input('num_tokens', 'int64', ['batch']);
  const padding = m.graph.input('padding', 'int64', ['batch']);

  const inner = m.at('sequence');
  const steps = inner.range('time');
  const length = inner.unsqueeze(inner.sub(inner.graph.size('time'), padding), 1);
  return {
    ids,
    numTokens,
    length,
    positions: inner.add(inner.unsqueeze(numTokens, 1), steps),
    valid: inner.less(steps, length),
  };
}
