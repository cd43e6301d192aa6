/** Every other kind of `tokenizer.json` (byte-level BPE, WordPiece, unigram), through `@huggingface/tokenizers`. */

import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { InputError } from '../errors.js';
import type { AddedToken, TokenizerFile } from './json-format.js';
import { isHarmless } from './markers.js';
import { specialIds } from './piece-tokenizer.js';
import {
  type DecodeOptions,
  type EncodeOptions,
  type StreamingDecoder,
  type TokenId,
  type Tokenizer,
  type TokenizerSettings,
  tokenId,
} from './tokenizer.js';

/**
 * A tokenizer that the library runs. It is exact, but slow (some 20 000 tokens a second), and takes time that grows
 * faster than the text where the file has no pre-tokenizer.
 * @throws InputError where the library does not know the file's parts.
 */
export function libraryTokenizer(
  parsed: TokenizerFile,
  file: string,
  settings: TokenizerSettings,
): Tokenizer {
  const full = load(parsed, file, parsed.addedTokens);
  const specials = new Set(parsed.addedTokens.filter((token) => token.special).map((token) => token.id));
  const vocabulary = full.get_vocab();
  let vocabSize = 0;
  for (const id of vocabulary.values()) vocabSize = Math.max(vocabSize, id + 1);
  const idOf = (piece: string) => vocabulary.get(piece);
  const templateBos = parsed.templateBos === undefined ? undefined : idOf(parsed.templateBos);
  const special = specialIds({ idOf, bosId: templateBos }, settings);
  const addBos = settings.addBos ?? parsed.templateBos !== undefined;

  // The library always recognises added tokens. Text that must not be read so takes a copy that lacks them.
  const copies = new Map<string, LibraryTokenizer>();
  const encoder = (text: string, options: EncodeOptions): LibraryTokenizer => {
    const kept = parsed.addedTokens.filter((token) => isWanted(token, options));
    if (!parsed.addedTokens.some((token) => !isWanted(token, options) && text.includes(token.content)))
      return full;
    const variant = `${options.special} ${options.markers}`;
    const copy = copies.get(variant) ?? load(parsed, file, kept);
    copies.set(variant, copy);
    return copy;
  };

  const decode = (ids: Iterable<TokenId>, { skipSpecial = true }: DecodeOptions = {}): string => {
    const shown = [...ids].filter(
      (id) => full.id_to_token(id) !== undefined && !(skipSpecial && specials.has(id)),
    );
    return shown.length === 0 ? '' : full.decode(shown, { clean_up_tokenization_spaces: false });
  };

  return {
    vocabSize,
    ...special,
    encode(text, options = {}) {
      const { ids } = encoder(text, options).encode(text, { add_special_tokens: false });
      const { bosId } = special;
      if ((options.bos ?? addBos) && bosId !== undefined && ids[0] !== bosId) ids.unshift(bosId);
      return ids.map(tokenId);
    },
    decode,
    decoder: (options) => new WindowDecoder((ids) => decode(ids, options)),
    piece: (id) => full.id_to_token(id) ?? '',
    idOf(piece) {
      const id = idOf(piece);
      return id === undefined ? undefined : tokenId(id);
    },
  };
}

function isWanted(token: AddedToken, { special = false, markers = true }: EncodeOptions): boolean {
  return token.special ? special : markers || isHarmless(token.content);
}

function load(parsed: TokenizerFile, file: string, added: readonly AddedToken[]): LibraryTokenizer {
  try {
    const kept = new Set(added.map((token) => token.id));
    const tokens = (parsed.json.added_tokens ?? []) as readonly AddedToken[];
    const added_tokens = tokens.filter(({ id }) => kept.has(id));
    const tokenizer = new LibraryTokenizer({ ...parsed.json, added_tokens }, {});
    tokenizer.encode('a b'); // some broken parts show only when they are used
    return tokenizer;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InputError(`${file} is of a kind that cannot be read: ${reason}.`, {
      details: { file },
      cause,
    });
  }
}

/**
 * Streams a `decode` that only knows whole lists: decodes the ids since the last character border, with those of the
 * step before as context, and gives out what is new once it does not end in half a character.
 */
class WindowDecoder implements StreamingDecoder {
  private context: TokenId[] = [];
  private fresh: TokenId[] = [];

  constructor(private readonly decode: (ids: readonly TokenId[]) => string) {}

  push(id: TokenId): string {
    this.fresh.push(id);
    const text = this.freshText();
    if (text === '' || text.endsWith('\ufffd')) return '';
    this.context = this.fresh;
    this.fresh = [];
    return text;
  }

  end(): string {
    const text = this.freshText();
    this.fresh = [];
    return text;
  }

  private freshText(): string {
    return this.decode([...this.context, ...this.fresh]).slice(this.decode(this.context).length);
  }
}
