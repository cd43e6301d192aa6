/** The tokenizer over a vocabulary of pieces: markers, normalization, merging, in the order that all files here share. */

import type { MarkerSplitter } from './markers.js';
import { type OwnSpecialIds, specialIds } from './special-ids.js';
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
export interface PieceVocabulary extends OwnSpecialIds {
  /** By id. An empty string is a gap. */
  readonly pieces: readonly string[];
  /** Finds fixed pieces in the text as it is, */
  readonly rawMarkers: MarkerSplitter;
  /** and in the text as `normalize` leaves it. */
  readonly markers: MarkerSplitter;
  /** Before which stretches of text a space is put: the one that begins the text, each one between fixed pieces, or none. */
  readonly spaceBefore: 'first' | 'each' | 'none';
  /** Prepares a stretch of text; `spaced`: a space is to be put before it. */
  readonly normalize: (text: string, spaced: boolean) => string;
  /** The ids of a stretch of prepared text without markers; `spaced` as above, for vocabularies that put the space only here. */
  readonly encode: (text: string, spaced: boolean) => Iterable<number>;
  readonly decoder: (options: { readonly skipSpecial: boolean }) => StreamingDecoder;
  /** Whether texts begin with BOS where nothing else says so. */
  readonly addBos: boolean;
}

/** Makes a tokenizer of a vocabulary. */
export function pieceTokenizer(vocabulary: PieceVocabulary, settings: TokenizerSettings): Tokenizer {
  const { pieces, rawMarkers, markers, normalize, spaceBefore } = vocabulary;
  const special = specialIds(vocabulary, settings);
  const addBos = settings.addBos ?? vocabulary.addBos;

  const encode = (text: string, options: EncodeOptions = {}): TokenId[] => {
    const ids: number[] = [];
    let first = true;
    const append = (id: number) => {
      ids.push(id);
      first = false;
    };
    const spaced = () => {
      if (first) return spaceBefore !== 'none' && options.continues !== true;
      return spaceBefore === 'each';
    };
    for (const part of rawMarkers(wellFormed(text), options)) {
      if (typeof part === 'number') append(part);
      else {
        for (const span of markers(normalize(part, spaced()), options)) {
          if (typeof span === 'number') append(span);
          else for (const id of vocabulary.encode(span, spaced())) append(id);
        }
      }
    }
    const { bosId } = special;
    if ((options.bos ?? addBos) && bosId !== undefined && ids[0] !== bosId) ids.unshift(bosId);
    return ids.map(tokenId);
  };

  const decoder = ({ skipSpecial = true, after = [] }: DecodeOptions = {}): StreamingDecoder => {
    const stream = vocabulary.decoder({ skipSpecial });
    for (const id of after) stream.push(id);
    return stream;
  };

  return {
    vocabSize: pieces.length,
    ...special,
    encode,
    decoder,
    decode(ids, options) {
      const stream = decoder(options);
      let text = '';
      for (const id of ids) text += stream.push(id);
      return text + stream.end();
    },
    piece: (id) => pieces[id] ?? '',
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
