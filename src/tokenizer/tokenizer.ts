/** What every tokenizer offers, whatever file it was read from. */

declare const brand: unique symbol;

/** The number of a piece in one tokenizer's vocabulary; branded so that it is not mixed up with other numbers. */
export type TokenId = number & { readonly [brand]: 'TokenId' };

/** Calls a plain number a token id. */
export function tokenId(value: number): TokenId {
  return value as TokenId;
}

/** How text becomes ids. */
export interface EncodeOptions {
  /**
   * Begin with the beginning-of-sequence id, never twice: a text whose first id is that one already, as a chat
   * template writes it, gets no second. By default what the tokenizer's files say.
   */
  readonly bos?: boolean;
  /** Take control tokens written in the text (`<bos>`) for those tokens, as a chat template means them. Default false: they are plain text. */
  readonly special?: boolean;
  /**
   * Recognise the vocabulary's user-defined pieces (`<start_of_turn>`, `<table>`), as SentencePiece does. Default true.
   * False reads them as ordinary text, for prompts from strangers; runs of spaces and line ends stay pieces.
   */
  readonly markers?: boolean;
  /**
   * The text goes on from other text, so no space is put before it where the tokenizer puts one before every text (Llama 2, Mistral).
   * Default false. It says nothing about BOS.
   */
  readonly continues?: boolean;
}

/** How ids become text. */
export interface DecodeOptions {
  /** Leave control tokens out of the text. Default true. */
  readonly skipSpecial?: boolean;
  /**
   * Ids that came before. Their own text is not given, but what follows goes on from it: a space at its beginning stays, and a character
   * that they began is completed.
   */
  readonly after?: Iterable<TokenId>;
}

/** Turns ids into text one by one; what it returns, joined, is what `decode` gives for the same ids. */
export interface StreamingDecoder {
  /** The text that this id completes: never half a character, so sometimes empty. */
  push(id: TokenId): string;
  /** The rest: U+FFFD for bytes that did not become a character. */
  end(): string;
}

/** Text to ids and back. Ids that the vocabulary lacks (models round its size up) decode to nothing. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number;
  readonly bosId?: TokenId;
  /** Any of these ends a generated text. */
  readonly eosIds: readonly TokenId[];
  readonly padId?: TokenId;
  encode(text: string, options?: EncodeOptions): TokenId[];
  decode(ids: Iterable<TokenId>, options?: DecodeOptions): string;
  decoder(options?: DecodeOptions): StreamingDecoder;
  /** The piece as the vocabulary spells it (`▁the`, `<0x0A>`), or an empty string. */
  piece(id: TokenId): string;
  /** The id of a piece as the vocabulary spells it. */
  idOf(piece: string): TokenId | undefined;
}

/** What the files beside a tokenizer say of it; where one is absent the tokenizer's own file decides. */
export interface TokenizerSettings {
  readonly addBos?: boolean;
  readonly bosToken?: string;
  readonly eosToken?: string;
  readonly padToken?: string;
  readonly bosId?: number;
  /** Ids that end a text, beside the tokenizer's own. */
  readonly eosIds?: readonly number[];
  readonly padId?: number;
  /**
   * What `tokenizer_config.json` calls `legacy`: whether a `tokenizer.model` that puts a space before every text does so after each
   * control token too (transformers, LlamaTokenizer). Default true, as Llama 2 and Mistral 7B were trained: turn by turn.
   */
  readonly legacy?: boolean;
  /** Tokens that were added to the vocabulary later, as `tokenizer_config.json` lists them: `{id: {content, special, …}}`. */
  readonly addedTokens?: unknown;
}
