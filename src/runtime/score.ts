/** Log probabilities of given continuations, as lm-evaluation-harness computes them. */

import { UsageError } from '../errors.js';
import { sum } from '../sum.js';
import type { TokenId } from '../tokenizer/tokenizer.js';
import type { Engine } from './engine.js';
import type { RequestId } from './generate.js';
import { InOrder } from './in-order.js';
import type { RunStats } from './run-stats.js';
import { type Answers, schedule } from './scheduler.js';
import type { Sequence } from './sequence.js';

/** A continuation and what it follows. */
export interface ScoreRequest {
  readonly id: RequestId;
  /** At least one token; the beginning-of-sequence token where there is nothing else. */
  readonly contextIds: readonly TokenId[];
  /** At least one token. */
  readonly continuationIds: readonly TokenId[];
}

/** How likely a continuation is. */
export interface ScoreResult {
  readonly id: RequestId;
  /** Natural logarithm of the whole continuation's probability. */
  readonly logprob: number;
  readonly tokenLogprobs: readonly number[];
  /** Whether greedy decoding would have produced it. */
  readonly isGreedy: boolean;
  readonly numTokens: number;
}

/** How a run of {@link score} goes about it. */
export interface ScoreOptions {
  /** Requests that run together; default 1. */
  readonly batch?: number;
  /** Results come in the order of the requests, not as they are finished. */
  readonly ordered?: boolean;
  /** Most tokens of a request that one call takes. */
  readonly chunk?: number;
  /** Counts what is done. */
  readonly stats?: RunStats | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A request in the making. */
interface Scored extends Sequence {
  readonly id: RequestId;
  /** Its place among the requests. */
  readonly index: number;
  readonly targets: readonly TokenId[];
  readonly logprobs: number[];
  greedy: boolean;
}

/**
 * Scores requests, `batch` at a time, and gives each result as it is finished. What a request gives does not depend on the others. A context that neighbouring
 * requests share is read once.
 * @throws UsageError for an empty context or continuation; the signal's reason between two calls of the model.
 */
export async function* score(
  engine: Engine,
  requests: Iterable<ScoreRequest> | AsyncIterable<ScoreRequest>,
  { batch = 1, ordered = false, ...options }: ScoreOptions = {},
): AsyncGenerator<ScoreResult> {
  const inOrder = new InOrder<ScoreResult>();
  const needs = { candidates: 1, logits: false };
  for await (const reports of schedule(engine, scored(requests), { ...options, batch, needs })) {
    for (const { sequence, answers } of reports) {
      if (answers) take(sequence, answers);
      if (sequence.logprobs.length < sequence.targets.length) continue;
      if (ordered) yield* inOrder.add(sequence.index, resultOf(sequence));
      else yield resultOf(sequence);
    }
  }
}

async function* scored(
  requests: Iterable<ScoreRequest> | AsyncIterable<ScoreRequest>,
): AsyncGenerator<Scored> {
  let index = 0;
  for await (const { id, contextIds, continuationIds } of requests) {
    if (contextIds.length === 0 || continuationIds.length === 0) {
      throw new UsageError(
        `Request "${id}" has an empty ${contextIds.length === 0 ? 'context' : 'continuation'}.`,
      );
    }
    yield {
      id,
      index: index++,
      // The last token predicts nothing that is asked for.
      tokens: [...contextIds, ...continuationIds].slice(0, -1),
      askFrom: contextIds.length - 1,
      targets: continuationIds,
      logprobs: [],
      greedy: true,
    };
  }
}

function take(sequence: Scored, { result, first, count }: Answers): void {
  for (let i = first; i < first + count; i++) {
    if (result.topIds[i] !== sequence.targets[sequence.logprobs.length]) sequence.greedy = false;
    sequence.logprobs.push(result.targetLogits[i]! - result.logSumExp[i]!);
  }
}

function resultOf({ id, logprobs, greedy }: Scored): ScoreResult {
  return {
    id,
    logprob: sum(logprobs),
    tokenLogprobs: logprobs,
    isGreedy: greedy,
    numTokens: logprobs.length,
  };
}
