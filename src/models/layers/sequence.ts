/**
 * The tokens of one call. Sequences of unlike lengths lie `[batch, time]`, padded at the right end, where time or a sequence's own state matters; all else runs on the
 * tokens that are no padding, `[tokens]`, sequence after sequence, so that a short sequence costs no more beside a long one.
 */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { fillGroups } from './row-groups.js';

/** The graph's token inputs and what follows from them. */
export interface Sequence {
  /** Ids of the tokens that are no padding, int64 `[tokens]`; the first one stands at the end again where the matrices want whole groups of rows. */
  readonly ids: Value;
  /** Tokens already in the state, int64 `[batch]`. */
  readonly numTokens: Value;
  /** How many of the `time` tokens are no padding, int64 `[batch, 1]`. */
  readonly length: Value;
  /** Position of each token in its sequence, int64 `[batch, time]`. */
  readonly positions: Value;
  /** Which tokens are no padding, bool `[batch, time]`. */
  readonly valid: Value;
  /** Where each of `[tokens]` stands in the flat `[batch*time]`, int64 `[tokens]`. */
  readonly places: Value;
  /** Which of `[tokens]` stands at each place; any one where there is padding. int64 `[batch, time]`. */
  readonly sources: Value;
}

/** Declares `input_ids`, `num_tokens` and `padding`. Padding stands at the right end and leaves the state as it was. */
export function sequenceInputs(m: Scope): Sequence {
  const ids = m.graph.input('input_ids', 'int64', ['batch', 'time']);
  const numTokens = m.graph.input('num_tokens', 'int64', ['batch']);
  const padding = m.graph.input('padding', 'int64', ['batch']);

  const inner = m.at('sequence');
  const steps = inner.range('time');
  const lengths = inner.sub(inner.graph.size('time'), padding);
  const length = inner.unsqueeze(lengths, 1);
  const valid = inner.less(steps, length);
  const places = fillGroups(
    inner,
    inner.nonZero(inner.reshape(valid, ['batch*time']), 'real_tokens'),
    'tokens',
  );
  const last = inner.sub(inner.graph.size('tokens'), 1);
  return {
    ids: inner.gather(inner.reshape(ids, ['batch*time']), places),
    numTokens,
    length,
    positions: inner.add(inner.unsqueeze(numTokens, 1), steps),
    valid,
    places,
    sources: inner.min(inner.add(inner.unsqueeze(inner.sumBefore(lengths), 1), steps), last),
  };
}

/** `[tokens, …]` to `[batch, time, …]`; what stands at padding is some token's and means nothing. */
export function spread(m: Scope, x: Value, { sources }: Sequence): Value {
  return m.gather(x, sources);
}

/** `[batch, time, …]` to `[tokens, …]`, without the padding. */
export function gatherTokens(m: Scope, x: Value, { places }: Sequence): Value {
  return m.gather(m.reshape(x, ['batch*time', ...x.axes.slice(2)]), places);
}
