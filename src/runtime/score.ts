/** Log probabilities of given continuations, as lm-evaluation-harness computes them, and perplexity of a text of any length. */

import type { TokenId } from '../tokenizer/tokenizer.js';
import type { Engine } from './engine.js';
import type { AskedRow } from './forward.js';
import type { RequestId } from './generate.js';
import { PREFILL_CHUNK } from './prefill.js';

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
  /** Tokens of each request that one call takes. */
  readonly chunk?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Scores requests in order, `batch` at a time. What a request gives does not depend on the others. */
export async function* score(
  engine: Engine,
  requests: Iterable<ScoreRequest> | AsyncIterable<ScoreRequest>,
  options: ScoreOptions = {},
): AsyncGenerator<ScoreResult> {
  let group: ScoreRequest[] = [];
  for await (const request of requests) {
    group.push(request);
    if (group.length < (options.batch ?? 1)) continue;
    yield* await scoreGroup(engine, group, options);
    group = [];
  }
  if (group.length > 0) yield* await scoreGroup(engine, group, options);
}

/** Scores requests side by side, each in a row of its own from its first token on. */
async function scoreGroup(
  engine: Engine,
  group: readonly ScoreRequest[],
  { chunk = PREFILL_CHUNK, signal }: ScoreOptions,
): Promise<ScoreResult[]> {
  const rows = group.map(({ contextIds, continuationIds }) => {
    const all = [...contextIds, ...continuationIds];
    // The last token predicts nothing that is asked for.
    return { all, fed: all.slice(0, -1), firstAsked: contextIds.length - 1 };
  });
  const logprobs: number[][] = group.map(() => []);
  const greedy = group.map(() => true);
  for (const row of rows.keys()) await engine.clear(row);

  const longest = Math.max(...rows.map(({ fed }) => fed.length));
  const askedBefore = (end: number) =>
    sum(rows.map(({ fed, firstAsked }) => Math.max(0, Math.min(end, fed.length) - firstAsked)));
  for (let start = 0, length = 0; start < longest; start += length) {
    signal?.throwIfAborted();
    length = chunk;
    while (length > 1 && askedBefore(start + length) - askedBefore(start) > maxAsked(engine)) length >>= 1;
    const tokens = rows.map(({ fed }) => fed.slice(start, start + length));
    const asked = rows.flatMap(({ all, firstAsked }, row) =>
      tokens[row]!.flatMap((_, offset): AskedRow | [] =>
        start + offset < firstAsked ? [] : { row, offset, target: all[start + offset + 1]! },
      ),
    );
    const result = await engine.forward({ firstRow: 0, tokens, asked, candidates: 1, logits: false });
    for (const [i, { row, target }] of asked.entries()) {
      logprobs[row]!.push(result.targetLogits[i]! - result.logSumExp[i]!);
      if (result.topIds[i] !== target) greedy[row] = false;
    }
  }
  return group.map(({ id }, row) => ({
    id,
    logprob: sum(logprobs[row]!),
    tokenLogprobs: logprobs[row]!,
    isGreedy: greedy[row]!,
    numTokens: logprobs[row]!.length,
  }));
}

/** How well a model predicts a text. */
export interface PerplexityResult {
  readonly numTokens: number;
  /** Natural logarithm of the whole text's probability. */
  readonly logprob: number;
  /** `exp(-logprob / numTokens)`. */
  readonly perplexity: number;
}

/**
 * Reads a text once from end to end, of any length: the state carries what came before, so no window slides over it.
 * @param bos the token before the first.
 */
export async function perplexity(
  engine: Engine,
  ids: readonly TokenId[],
  bos: TokenId,
  options: ScoreOptions & { readonly onProgress?: (tokens: number) => void } = {},
): Promise<PerplexityResult> {
  const { signal } = options;
  const chunk = Math.min(options.chunk ?? PREFILL_CHUNK, maxAsked(engine));
  let logprob = 0;
  await engine.clear(0);
  for (let start = 0; start < ids.length; start += chunk) {
    signal?.throwIfAborted();
    const targets = ids.slice(start, start + chunk);
    const tokens = targets.map((_, i) => (start + i === 0 ? bos : ids[start + i - 1]!));
    const asked = targets.map((target, offset) => ({ row: 0, offset, target }));
    const result = await engine.forward({
      firstRow: 0,
      tokens: [tokens],
      asked,
      candidates: 1,
      logits: false,
    });
    for (const [i, logit] of result.targetLogits.entries()) logprob += logit - result.logSumExp[i]!;
    options.onProgress?.(start + targets.length);
  }
  return { numTokens: ids.length, logprob, perplexity: Math.exp(-logprob / ids.length) };
}

/** Logits that one call may compute, so that memory stays bounded: 128 MiB of float32. */
const MAX_LOGITS = 2 ** 25;

function maxAsked(engine: Engine): number {
  return Math.max(1, Math.floor(MAX_LOGITS / engine.folder.manifest.vocab_size));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
