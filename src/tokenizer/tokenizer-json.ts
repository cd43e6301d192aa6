/** A tokenizer from `tokenizer.json`: BPE with byte fallback, or byte-level BPE. */

import { byteLevelVocabulary } from './byte-level.js';
import { leadingToken } from './json-bos.js';
import { jsonBpeVocabulary } from './json-bpe.js';
import { parseTokenizerFile, type TokenizerFile } from './json-format.js';
import { unsupported } from './json-steps.js';
import { pieceTokenizer } from './piece-tokenizer.js';
import type { Tokenizer, TokenizerSettings } from './tokenizer.js';

/**
 * A tokenizer from the text of a `tokenizer.json`; `file` names it in errors. It gives the ids that Python's tokenizers gives, or refuses
 * the file: every part that a text passes through is either known here, or named in the error.
 * @throws InputError where the file is damaged, or has a part that is not supported.
 */
export function jsonTokenizer(text: string, file: string, settings: TokenizerSettings = {}): Tokenizer {
  const parsed = parseTokenizerFile(text, file, settings.addedTokens);
  checkModel(parsed, file);
  const bos = leadingToken(parsed.json.post_processor, file);
  const read = parsed.model.byte_fallback === true ? jsonBpeVocabulary : byteLevelVocabulary;
  const vocabulary = read(parsed, file);
  const bosId = bos === undefined ? undefined : vocabulary.idOf(bos);
  return pieceTokenizer({ ...vocabulary, bosId, addBos: bosId !== undefined }, settings);
}

/** What neither kind may have. */
function checkModel({ model, vocab, addedTokens }: TokenizerFile, file: string): void {
  // The first files of GPT-2's kind do not name their model's type.
  const type = model.type ?? (Array.isArray(model.merges) ? 'BPE' : undefined);
  if (type !== 'BPE' || vocab === undefined) throw unsupported(file, `a model of type ${type}`);
  for (const key of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[key]) throw unsupported(file, `"model.${key}" ${JSON.stringify(model[key])}`);
  }
  const wishful = addedTokens.find((token) => token.wish !== undefined);
  if (wishful) {
    throw unsupported(file, `the added token ${JSON.stringify(wishful.content)} with "${wishful.wish}"`);
  }
}
