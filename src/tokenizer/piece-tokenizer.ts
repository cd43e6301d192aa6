/** The tokenizer over a vocabulary of pieces with `▁` for space and `<0xNN>` for bytes, as Gemma, Llama and Mistral have. */

import { ByteDecoder } from './byte-decoder.js';
import type { MarkerSplitter } from './markers.js';
import { byteOf, PieceKind, SPACE } from './pieces.js';
import {
  type DecodeOptions,
  type EncodeOptions,
  type StreamingDecoder,
  type TokenId,
  type Tokenizer,
  type TokenizerSettings,
  tokenId,
} from './tokenizer.js';

/** A vocabulary and the rules that go with it: all that differs between the file formats. */
export interface PieceVocabulary {
  /** By id. An empty string is a gap. */
  readonly pieces: readonly string[];
  /** By id. */
  readonly kinds: readonly PieceKind[];
  readonly idOf: (piece: string) => number | undefined;
  /** Finds fixed pieces in the text as it is, */
  readonly rawMarkers: MarkerSplitter;
  /** and in the text as `normalize` leaves it. */
  readonly markers: MarkerSplitter;
  /** Prepares a stretch of text; `first`: no ordinary text came before. */
  readonly normalize: (text: string, first: boolean) => string;
  /** The ids of a stretch of prepared text without markers. */
  readonly encode: (text: string) => Iterable<number>;
  /** What to drop at the beginning of a decoded text: one space (added when encoding), every space, or nothing. */
  readonly dropLeading: 'one' | 'all' | 'none';
  /** How the unknown piece is written. */
  readonly unknownSurface: string;
  /** The ids that the vocabulary's own file names. */
  readonly bosId?: number | undefined;
  readonly eosId?: number | undefined;
  readonly padId?: number | undefined;
  /** Whether texts begin with BOS where nothing else says so. */
  readonly addBos: boolean;
}

/** The special ids, taken from the vocabulary and from the settings beside it. */
export function specialIds(
  own: Pick<PieceVocabulary, 'idOf' | 'bosId' | 'eosId' | 'padId'>,
  settings: TokenizerSettings,
): Pick<Tokenizer, 'bosId' | 'eosIds' | 'padId'> {
  const named = (token: string | undefined) => (token === undefined ? undefined : own.idOf(token));
  const bos = named(settings.bosToken) ?? own.bosId ?? settings.bosId;
  const eos = named(settings.eosToken) ?? own.eosId;
  const pad = named(settings.padToken) ?? own.padId ?? settings.padId;
  const eosIds = new Set([...(eos === undefined ? [] : [eos]), ...(settings.eosIds ?? [])]);
  return {
    ...(bos === undefined ? {} : { bosId: tokenId(bos) }),
    ...(pad === undefined ? {} : { padId: tokenId(pad) }),
    eosIds: [...eosIds].map(tokenId),
  };
}

/** Makes a tokenizer of a vocabulary. */
export function pieceTokenizer(vocabulary: PieceVocabulary, settings: TokenizerSettings): Tokenizer {
  const special = specialIds(vocabulary, settings);
  const addBos = settings.addBos ?? vocabulary.addBos;

  const encode = (text: string, options: EncodeOptions = {}): TokenId[] => {
    const ids: number[] = [];
    const append = (id: number) => ids.push(id);
    let first = true;
    for (const part of vocabulary.rawMarkers(wellFormed(text), options)) {
      if (typeof part === 'number') {
        append(part);
        continue;
      }
      for (const span of vocabulary.markers(vocabulary.normalize(part, first), options)) {
        if (typeof span === 'number') append(span);
        else for (const id of vocabulary.encode(span)) append(id);
      }
      first = false;
    }
    const { bosId } = special;
    if ((options.bos ?? addBos) && bosId !== undefined && ids[0] !== bosId) ids.unshift(bosId);
    return ids.map(tokenId);
  };

  const decoder = (options?: DecodeOptions) => new PieceDecoder(vocabulary, options);

  return {
    vocabSize: vocabulary.pieces.length,
    ...special,
    encode,
    decoder,
    decode(ids, options) {
      const stream = decoder(options);
      let text = '';
      for (const id of ids) text += stream.push(id);
      return text + stream.end();
    },
    piece: (id) => vocabulary.pieces[id] ?? '',
    idOf(piece) {
      const id = vocabulary.idOf(piece);
      return id === undefined ? undefined : tokenId(id);
    },
  };
}

/** Half a surrogate pair has no UTF-8: writing and reading it gives U+FFFD, as every encoder does. */
function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? Buffer.from(text).toString() : text;
}

class PieceDecoder implements StreamingDecoder {
  private readonly bytes = new ByteDecoder();
  private readonly skipSpecial: boolean;
  /** Whether a leading space would still be dropped. */
  private atStart: boolean;

  constructor(
    private readonly vocabulary: PieceVocabulary,
    options: DecodeOptions = {},
  ) {
    this.skipSpecial = options.skipSpecial ?? true;
    this.atStart = vocabulary.dropLeading !== 'none';
  }

  push(id: TokenId): string {
    const piece = this.vocabulary.pieces[id] ?? '';
    const byte = this.vocabulary.kinds[id] === PieceKind.byte ? byteOf(piece) : undefined;
    if (byte !== undefined) return this.seen(this.bytes.push(byte));
    return this.end() + this.seen(this.surface(id, piece));
  }

  end(): string {
    return this.seen(this.bytes.end());
  }

  private seen(text: string): string {
    if (text !== '') this.atStart = false;
    return text;
  }

  private surface(id: TokenId, piece: string): string {
    const kind = this.vocabulary.kinds[id];
    if (kind === PieceKind.control) return this.skipSpecial ? '' : piece;
    if (kind === PieceKind.unknown) return this.vocabulary.unknownSurface;
    let text = piece;
    if (this.atStart && text.startsWith(SPACE)) {
      text = text.slice(1);
      this.atStart = this.vocabulary.dropLeading === 'all';
    }
    return text.replaceAll(SPACE, ' ');
  }
}
