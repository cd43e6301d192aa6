/** Finds what neighbouring sequences begin with in common, so that it is computed once and its state copied. */

import type { TokenId } from '../tokenizer/tokenizer.js';
import type { Sequence, Start } from './sequence.js';

/** A beginning that several sequences share: fed like a sequence of its own, and its state is what they start from. */
export interface SharedPrefix extends Sequence {
  readonly gives: Start;
}

/**
 * Fewer tokens are not worth it. Copying a state to another row and back costs RecurrentGemma-2B about as much as ten tokens of prefill, and the sequences
 * that share wait for it.
 */
const FEWEST_SHARED = 32;

/** Sequences that are looked at ahead: enough to see a question's few continuations end, and what all questions share begin. */
const LOOKAHEAD = 32;

/** Whether it is a shared beginning, not one of the sequences that were given. */
export function isSharedPrefix(sequence: Sequence): sequence is SharedPrefix {
  return 'gives' in sequence;
}

/**
 * Puts shared beginnings before the sequences that start from them. They nest: one that all sequences have in common, and in it one that some have.
 * Sequences that share must be neighbours.
 */
export async function* withSharedPrefixes<S extends Sequence>(
  sequences: Iterable<S> | AsyncIterable<S>,
): AsyncGenerator<S | SharedPrefix> {
  /** The beginnings of the current sequence that are shared, shortest first. */
  const known: Start[] = [];
  let previous: Sequence | undefined;
  for await (const [sequence, following] of withFollowing(sequences)) {
    const kept = previous ? commonTokens(previous, sequence) : 0;
    while (known.length > 0 && known.at(-1)!.tokens > kept) known.pop();
    previous = { ...sequence };
    for (const length of sharedLengths(sequence, following)) {
      const start = known.at(-1) ?? sequence.start;
      if (length - (start?.tokens ?? 0) < FEWEST_SHARED) continue;
      const gives: Start = { tokens: length };
      yield { tokens: sequence.tokens.slice(0, length), askFrom: length, start, gives };
      known.push(gives);
    }
    sequence.start = known.at(-1) ?? sequence.start;
    yield sequence;
  }
}

/** Each sequence with those that come after it, as far as is looked ahead. */
async function* withFollowing<S>(items: Iterable<S> | AsyncIterable<S>): AsyncGenerator<[S, readonly S[]]> {
  const ahead: S[] = [];
  for await (const item of items) {
    ahead.push(item);
    if (ahead.length > LOOKAHEAD) yield [ahead.shift()!, ahead];
  }
  while (ahead.length > 0) yield [ahead.shift()!, ahead];
}

/** How many tokens a sequence has in common with the next, the next two, and so on: distinct numbers, the smallest first. */
function sharedLengths<S extends Sequence>(sequence: S, following: readonly S[]): number[] {
  const lengths = new Set<number>();
  let common = Number.POSITIVE_INFINITY;
  for (const next of following) {
    common = Math.min(common, commonTokens(sequence, next));
    if (common < FEWEST_SHARED) break;
    lengths.add(common);
  }
  return [...lengths].reverse();
}

/** Tokens that two sequences begin with and neither is asked anything after; none where they go on from different states. */
function commonTokens(a: Sequence, b: Sequence): number {
  if (a.start?.state !== b.start?.state) return 0;
  const most = Math.min(a.askFrom, b.askFrom, a.tokens.length, b.tokens.length);
  return firstDifference(a.tokens, b.tokens, most);
}

function firstDifference(a: readonly TokenId[], b: readonly TokenId[], end: number): number {
  for (let i = 0; i < end; i++) if (a[i] !== b[i]) return i;
  return end;
}
