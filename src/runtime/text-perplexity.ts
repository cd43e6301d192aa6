/** Perplexity of a text file, in tokens and, so that tokenizers can be compared, in bytes. */

import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { perplexity } from './perplexity.js';
import type { TextModel } from './text-model.js';

/** How well a model predicts a text, as it is printed. */
export interface TextPerplexity {
  readonly num_tokens: number;
  readonly num_bytes: number;
  /** Natural logarithm of the whole text's probability. */
  readonly logprob: number;
  readonly perplexity: number;
  readonly bits_per_byte: number;
}

/** Reads a text once from end to end. @throws InputError where it is empty or cannot be read, UsageError without a tokenizer. */
export async function textPerplexity(
  model: TextModel,
  path: string,
  options: {
    readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<TextPerplexity> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new InputError(`${path} cannot be read.`, { cause });
  });
  const ids = model.textIds(text);
  if (ids.length === 0) throw new InputError(`${path} is empty.`);
  const bytes = Buffer.byteLength(text);
  const { logprob, numTokens, ...rest } = await perplexity(model.engine, ids, model.prefixId(), {
    signal: options.signal,
    onProgress: (tokens) => options.onProgress?.(Math.round((bytes * tokens) / ids.length), bytes),
  });
  return {
    num_tokens: numTokens,
    num_bytes: bytes,
    logprob,
    perplexity: rest.perplexity,
    bits_per_byte: -logprob / Math.LN2 / bytes,
  };
}
