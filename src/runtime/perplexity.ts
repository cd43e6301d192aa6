/** Perplexity of a text of any length, in one pass: the state carries what came before, so no window slides over it. */

import type { TokenId } from '../tokenizer/tokenizer.js';
import { PREFILL_CHUNK } from './call-plan.js';
import type { Engine } from './engine.js';
import { maxAsked } from './scheduler.js';

/** How well a model predicts a text. */
export interface PerplexityResult {
  readonly numTokens: number;
  /** Natural logarithm of the whole text's probability. */
  readonly logprob: number;
  /** `exp(-logprob / numTokens)`. */
  readonly perplexity: number;
}

/** How a run of {@link perplexity} goes about it. */
export interface PerplexityOptions {
  /** Most tokens that one call takes. */
  readonly chunk?: number;
  /** Told how many tokens have been read. */
  readonly onProgress?: (tokens: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a text once from end to end.
 * @param bos the token before the first.
 * @throws the signal's reason between two calls of the model.
 */
export async function perplexity(
  engine: Engine,
  ids: readonly TokenId[],
  bos: TokenId,
  { chunk = PREFILL_CHUNK, onProgress, signal }: PerplexityOptions = {},
): Promise<PerplexityResult> {
  const length = Math.min(chunk, maxAsked(engine));
  let logprob = 0;
  await engine.clear(0);
  for (let start = 0; start < ids.length; start += length) {
    signal?.throwIfAborted();
    const targets = ids.slice(start, start + length);
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
    onProgress?.(start + targets.length);
  }
  return { numTokens: ids.length, logprob, perplexity: Math.exp(-logprob / ids.length) };
}
