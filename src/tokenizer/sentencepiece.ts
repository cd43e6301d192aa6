/** SentencePiece's BPE with byte fallback, as Gemma, Llama 2 and Mistral use it: the same ids as the C++ library, from the same file. */

import { InputError } from '../errors.js';
import { applyMerges, cachedPairs, type MergeTable } from './bpe.js';
import type { AddedToken } from './json-format.js';
import { type Marker, markerSplitter } from './markers.js';
import { PieceDecoder } from './piece-decoder.js';
import { pieceTokenizer } from './piece-tokenizer.js';
import { byteFallbackIds, PieceKind, SPACE } from './pieces.js';
import { parseSentencePieceModel, type SentencePieceModel } from './sentencepiece-model.js';
import type { Tokenizer, TokenizerSettings } from './tokenizer.js';

/**
 * A tokenizer from the bytes of a `tokenizer.model`; `file` names it in errors.
 * @throws InputError where the file is damaged, or of a kind that is not BPE without character map.
 */
export function sentencePieceTokenizer(
  bytes: Uint8Array,
  file: string,
  settings: TokenizerSettings = {},
): Tokenizer {
  return tokenizerOfModel(parseSentencePieceModel(bytes, file), file, settings);
}

const MODEL_TYPES: Readonly<Record<number, string>> = { 1: 'unigram', 2: 'BPE', 3: 'word', 4: 'character' };

/** Why this model cannot be served here, as the end of a sentence that begins with its name; undefined where it can. */
export function obstacleIn({
  trainer,
  normalizer,
  denormalizerBytes,
}: SentencePieceModel): string | undefined {
  if (trainer.modelType !== 2) {
    return `is of type ${MODEL_TYPES[trainer.modelType] ?? trainer.modelType}; only BPE models can be read`;
  }
  if (normalizer.charsmapBytes > 0 || denormalizerBytes > 0) {
    return 'rewrites characters (it has a normalization map); only models without one can be read';
  }
  if (trainer.whitespaceAsSuffix) return 'writes spaces at the ends of words, which is not supported';
  return undefined;
}

/**
 * As `sentencePieceTokenizer`, from a model already parsed.
 * @param later tokens that were added to the model's own, or put into their places, as fine-tuned models have them.
 */
export function tokenizerOfModel(
  model: SentencePieceModel,
  file: string,
  settings: TokenizerSettings,
  later: readonly AddedToken[] = [],
): Tokenizer {
  const refuse = (what: string): never => {
    throw new InputError(`${file} ${what}.`, { details: { file } });
  };
  const obstacle = obstacleIn(model);
  if (obstacle !== undefined) refuse(obstacle);
  const wishful = later.find((token) => token.wish !== undefined);
  if (wishful)
    refuse(
      `goes with the added token ${JSON.stringify(wishful.content)}, whose "${wishful.wish}" is not supported`,
    );
  const { trainer, normalizer } = model;
  const pieces = [...model.pieces];
  const kinds = [...model.kinds];
  for (const { id, content, special } of later) {
    while (pieces.length < id) kinds[pieces.push('') - 1] = PieceKind.unused;
    pieces[id] = content;
    kinds[id] = special ? PieceKind.control : PieceKind.userDefined;
  }
  const ids = new Map<string, number>();
  pieces.forEach((piece, id) => {
    if (piece === '') return;
    if (ids.has(piece)) refuse(`has the piece ${JSON.stringify(piece)} twice (${ids.get(piece)} and ${id})`);
    ids.set(piece, id);
  });
  const idOf = (piece: string) => ids.get(piece);
  const unknownId = kinds.indexOf(PieceKind.unknown);
  if (unknownId < 0 || unknownId !== kinds.lastIndexOf(PieceKind.unknown))
    refuse('does not have one unknown piece');
  const byteIds = trainer.byteFallback ? byteFallbackIds(idOf) : undefined;
  if (trainer.byteFallback && !byteIds?.every((id) => kinds[id] === PieceKind.byte)) {
    refuse('says that it has pieces for all bytes, but has not');
  }
  const markersWhere = (wanted: (kind: PieceKind, id: number) => boolean): Marker[] =>
    pieces.flatMap((text, id) =>
      wanted(kinds[id]!, id) ? [{ text, id, control: kinds[id] === PieceKind.control }] : [],
    );
  // Tokens that were added are looked for before anything is normalized, as transformers does.
  const isLater = new Set(later.map((token) => token.id));
  const control = (id: number) => (kinds[id] === PieceKind.control ? id : undefined);
  const surfaces = {
    pieces,
    kinds,
    dropLeading: normalizer.removeExtraWhitespaces ? 'all' : normalizer.addDummyPrefix ? 'one' : 'none',
    unknownSurface: trainer.unknownSurface,
    dropsByte: false,
  } as const;

  return pieceTokenizer(
    {
      pieces,
      idOf,
      isControl: (id) => kinds[id] === PieceKind.control,
      rawMarkers: markerSplitter(markersWhere((kind, id) => kind === PieceKind.control || isLater.has(id))),
      markers: markerSplitter(markersWhere((kind, id) => kind === PieceKind.userDefined && !isLater.has(id))),
      spaceBefore: !normalizer.addDummyPrefix ? 'none' : settings.legacy === false ? 'first' : 'each',
      normalize: normalization(normalizer),
      encode: pieceEncoder({ pieces, kinds, scores: model.scores }, ids, { unknownId, byteIds }),
      decoder: (options) => new PieceDecoder(surfaces, options),
      bosId: control(trainer.bosId),
      eosId: control(trainer.eosId),
      padId: control(trainer.padId),
      addBos: true,
    },
    settings,
  );
}

function normalization(rules: SentencePieceModel['normalizer']): (text: string, spaced: boolean) => string {
  const space = rules.escapeWhitespaces ? SPACE : ' ';
  return (text, spaced) => {
    let normal = text;
    if (rules.removeExtraWhitespaces) normal = normal.replace(/ +/g, ' ').replace(/^ /, '');
    if (spaced && normal !== '') normal = ` ${normal}`;
    normal = normal.replaceAll(' ', space);
    return rules.removeExtraWhitespaces ? withoutTrailing(normal, space) : normal;
  };
}

function withoutTrailing(text: string, space: string): string {
  let end = text.length;
  while (text[end - 1] === space) end--;
  return text.slice(0, end);
}

/** Encodes text without markers: characters, merged by score; what the vocabulary lacks as bytes or as unknown. */
function pieceEncoder(
  model: Pick<SentencePieceModel, 'pieces' | 'kinds' | 'scores'>,
  ids: ReadonlyMap<string, number>,
  { unknownId, byteIds }: { unknownId: number; byteIds: readonly number[] | undefined },
): (text: string) => number[] {
  const { pieces, kinds } = model;
  const size = pieces.length;
  const mergeable = (piece: string): number => {
    const id = ids.get(piece);
    return id !== undefined && (kinds[id] === PieceKind.normal || kinds[id] === PieceKind.unused) ? id : -1;
  };
  // A character that the vocabulary lacks is a symbol too, and may be part of a longer piece: size + its code point.
  const textOf = (symbol: number) => (symbol < size ? pieces[symbol]! : String.fromCodePoint(symbol - size));
  const cached = cachedPairs((left, right) => mergeable(textOf(left) + textOf(right)));
  // Pieces marked unused serve as steps towards longer ones; one that is left at the end falls apart again.
  const halves = new Map<number, readonly [number, number]>();
  const find = (left: number, right: number): number => {
    const id = cached(left, right);
    if (id >= 0 && kinds[id] === PieceKind.unused) halves.set(id, [left, right]);
    return id;
  };
  const merges: MergeTable = { find, priority: ranks(model.scores), product: pieces.map((_, id) => id) };

  return (text) => {
    const symbols = new Int32Array(text.length);
    let count = 0;
    for (const character of text) {
      const id = mergeable(character);
      symbols[count++] = id >= 0 ? id : size + character.codePointAt(0)!;
    }
    halves.clear();
    const output: number[] = [];
    for (const merged of applyMerges(symbols.subarray(0, count), merges)) {
      for (const symbol of fallApart(merged, halves)) {
        if (symbol < size) {
          output.push(symbol);
        } else if (byteIds) {
          for (const byte of Buffer.from(textOf(symbol))) output.push(byteIds[byte]!);
        } else if (output.at(-1) !== unknownId) {
          output.push(unknownId); // one for a run of unknown characters
        }
      }
    }
    return output;
  };
}

/** The symbols that a symbol falls into where `halves` splits it, again and again, from left to right. */
function fallApart(
  symbol: number,
  halves: ReadonlyMap<number, readonly [number, number]>,
): readonly number[] {
  if (!halves.has(symbol)) return [symbol];
  const whole: number[] = [];
  const open = [symbol];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const parts = halves.get(next);
    if (parts) open.push(parts[1], parts[0]);
    else whole.push(next);
  }
  return whole;
}

/** By piece: its place in the order of merging, the same for equal scores. */
function ranks(scores: readonly number[]): Int32Array {
  const order = [...new Set(scores)].sort((a, b) => b - a);
  const rankOf = new Map(order.map((score, rank) => [score, rank]));
  return Int32Array.from(scores, (score) => rankOf.get(score)!);
}
