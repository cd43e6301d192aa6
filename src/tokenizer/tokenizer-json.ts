/** A tokenizer from `tokenizer.json`: the Gemma and Llama kind by our own code, every other by Hugging Face's library. */

import { jsonBpeVocabulary } from './json-bpe.js';
import { parseTokenizerFile } from './json-format.js';
import { pieceTokenizer } from './piece-tokenizer.js';
import type { Tokenizer, TokenizerSettings } from './tokenizer.js';

/**
 * A tokenizer from the text of a `tokenizer.json`; `file` names it in errors. BPE with byte fallback runs in our own
 * code, which is fifty times as fast as the library on long text and linear; both give the ids that Python gives.
 * @throws InputError where the file is damaged, or of a kind that nobody here can read.
 */
export async function jsonTokenizer(
  text: string,
  file: string,
  settings: TokenizerSettings = {},
): Promise<Tokenizer> {
  const parsed = parseTokenizerFile(text, file);
  const vocabulary = jsonBpeVocabulary(parsed, file);
  if (vocabulary) return pieceTokenizer(vocabulary, settings);
  const { libraryTokenizer } = await import('./json-library.js');
  return libraryTokenizer(parsed, file, settings);
}
