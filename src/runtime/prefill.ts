/** Feeds a prompt into one row's state, chunk by chunk, so that memory does not grow with the prompt. */

import type { TokenId } from '../tokenizer/tokenizer.js';
import type { Engine } from './engine.js';

/** Tokens of a prompt that one call takes: more gain little, and each call is how long Ctrl-C may have to wait. */
export const PREFILL_CHUNK = 256;

/** Runs `tokens` through the row without asking for any logits. */
export async function prefill(
  engine: Engine,
  row: number,
  tokens: readonly TokenId[],
  options: { readonly chunk?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const chunk = options.chunk ?? PREFILL_CHUNK;
  for (let start = 0; start < tokens.length; start += chunk) {
    options.signal?.throwIfAborted();
    const piece = tokens.slice(start, start + chunk);
    await engine.forward({ firstRow: row, tokens: [piece], asked: [], candidates: 1, logits: false });
  }
}
