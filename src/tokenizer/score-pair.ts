/** How texts to be scored become ids, as lm-evaluation-harness does it. */

import { UsageError } from '../errors.js';
import type { TokenId, Tokenizer } from './tokenizer.js';

/** A context and what is to be scored after it. */
export interface PairIds {
  readonly contextIds: TokenId[];
  readonly continuationIds: TokenId[];
}

/**
 * The token that a text is scored after where nothing comes before it: BOS or, in a vocabulary without one, EOS (lm-evaluation-harness,
 * models/huggingface.py, `prefix_token_id`).
 * @throws UsageError where the tokenizer has neither.
 */
export function prefixId({ bosId, eosIds }: Tokenizer): TokenId {
  const prefix = bosId ?? eosIds[0];
  if (prefix !== undefined) return prefix;
  throw new UsageError(
    'The tokenizer has no token that begins or ends a text, after which one could be scored.',
    {
      hint: 'Give a context, or context_ids.',
    },
  );
}

/**
 * The ids of a context and its continuation (api/model.py, `loglikelihood` and `_encode_pair`): spaces at the context's end belong to
 * the continuation, and both are encoded together. A context that is empty, or of spaces alone, is the prefix token.
 * @throws UsageError as {@link prefixId}.
 */
export function pairIds(tokenizer: Tokenizer, context: string, continuation: string): PairIds {
  if (context === '') {
    return {
      contextIds: [prefixId(tokenizer)],
      continuationIds: tokenizer.encode(continuation, { bos: false }),
    };
  }
  const all = tokenizer.encode(context + continuation);
  const contextIds = tokenizer.encode(withoutEnd(context));
  const continuationIds = all.slice(contextIds.length);
  return { contextIds: contextIds.length > 0 ? contextIds : [prefixId(tokenizer)], continuationIds };
}

function withoutEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isPythonSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(0, end);
}

/** What Python's `str.rstrip` takes away: four separators and NEL, which are no white space in JavaScript, and not the byte order mark. */
function isPythonSpace(code: number): boolean {
  if ((code >= 0x1c && code <= 0x1f) || code === 0x85) return true;
  return code !== 0xfeff && /\s/.test(String.fromCharCode(code));
}
