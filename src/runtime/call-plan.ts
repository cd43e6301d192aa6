/** Decides which rows the next call of the model takes, and how many tokens of each. */

import { sum } from '../sum.js';

/**
 * Places of a call, `rows * time`, tokens and padding together: more are no faster (RecurrentGemma-2B in int8 takes 3.3 ms a token with 256 places and 3.5 ms
 * with 512), the memory of a call stays bounded, and Ctrl-C waits for one call at most.
 */
export const PREFILL_CHUNK = 256;

/**
 * What a call costs beside its tokens and their padding, in places of padding. Measured on two cores: 0.35 ms a call and 0.005 ms a place on the factbook
 * Griffin (70), 66 ms and 0.37 ms on RecurrentGemma-2B in int8 (180), which reads its weights anew in every call.
 */
const CALL_COST = 128;

/** What a row has to be fed. */
export interface RowNeed {
  /** Tokens; at least 1. */
  readonly left: number;
  /** How many of them come before the first whose logits are wanted. */
  readonly silent: number;
}

/** What bounds a call. */
export interface CallLimits {
  /** Rows that run together: those from this one on are only filled ahead. */
  readonly batch: number;
  /** Tokens of one row. */
  readonly chunk: number;
  /** Tokens whose logits are wanted. */
  readonly asked: number;
}

/** One call: neighbouring rows, and how many tokens each is fed. */
export interface CallPlan {
  readonly firstRow: number;
  readonly lengths: readonly number[];
}

/**
 * Plans the next call: the one with the least overhead for each token that it feeds. It takes all rows that run, so that a few tokens of a prompt go along with
 * the newest tokens of the others; or only those (neighbours, if the others stand before them) that have several tokens left, so that a long prompt is not
 * padding for all others. Overhead is padding, {@link CALL_COST}, and what the rest of the tokens will cost: a call, or its share where they go along.
 */
export function planCall(rows: readonly RowNeed[], { batch, chunk, asked }: CallLimits): CallPlan {
  const several = ({ left }: RowNeed) => left > 1;
  const joining: Span = [rows.findIndex(several), rows.findLastIndex(several) + 1];
  const spans: Span[] = [[0, Math.min(batch, rows.length)]];
  if (joining[0] >= 0) spans.push(joining);

  let best = { overhead: Number.POSITIVE_INFINITY, span: spans[0]!, time: 1 };
  for (const span of spans) {
    const lefts = rows.slice(...span).map(({ left }) => left);
    const longest = Math.max(1, Math.min(chunk, Math.floor(PREFILL_CHUNK / lefts.length)));
    for (const time of new Set(lefts.map((left) => Math.min(left, longest)))) {
      const tokens = sum(lefts.map((left) => Math.min(left, time)));
      const padding = time * lefts.length - tokens;
      const rest = Math.min(1, (sum(lefts) - tokens) / batch);
      const overhead = (CALL_COST + padding + rest * CALL_COST) / tokens;
      if (overhead < best.overhead) best = { overhead, span, time };
    }
  }
  return { firstRow: best.span[0], lengths: lengthsWithin(rows.slice(...best.span), best.time, asked) };
}

type Span = [from: number, to: number];

/** Up to `time` tokens of each row, and fewer where more logits would be wanted than may be: the first rows first. */
function lengthsWithin(rows: readonly RowNeed[], time: number, asked: number): number[] {
  let free = asked;
  return rows.map(({ left, silent }) => {
    const length = Math.min(left, time, silent + free);
    free -= Math.max(0, length - silent);
    return length;
  });
}
