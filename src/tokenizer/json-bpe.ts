/** BPE with byte fallback from `tokenizer.json`, as Gemma, Llama 2 and Mistral were converted from SentencePiece. */

import { InputError } from '../errors.js';
import { applyMerges, cachedPairs, type MergeTable } from './bpe.js';
import { isRecord, type TokenizerFile } from './json-format.js';
import { type Marker, markerSplitter } from './markers.js';
import type { PieceVocabulary } from './piece-tokenizer.js';
import { byteFallbackIds, byteOf, MAX_PIECES, PieceKind, SPACE } from './pieces.js';

/** Gemma has 580 604 merges; their numbers must stay below the priorities that bpe.ts can hold. */
const MAX_MERGES = 2 ** 21;

/**
 * The vocabulary of a file of this kind, or undefined where it is of another.
 * @throws InputError where it is of this kind but damaged.
 */
export function jsonBpeVocabulary(parsed: TokenizerFile, file: string): PieceVocabulary | undefined {
  const { json, model, addedTokens } = parsed;
  const prepend = prependedBy(json.normalizer);
  const dropLeading = droppedBy(json.decoder);
  if (prepend === undefined || dropLeading === undefined || !isPlainBpe(model)) return undefined;
  if (!cutsOnlyAtSpaces(json.pre_tokenizer) || addedTokens.some((token) => token.fussy)) return undefined;

  const ids = new Map(parsed.vocab);
  const byteIds = byteFallbackIds((piece) => ids.get(piece));
  if (!byteIds) return undefined;
  const merges = readMerges(model.merges, ids, file);

  const normalize = (text: string) => (text === '' ? '' : prepend + text.replaceAll(' ', SPACE));
  const added = new Map(addedTokens.map((token) => [ids.get(token.content) ?? token.id, token]));
  for (const [id, { content }] of added) ids.set(content, id);
  const found: string[] = [];
  for (const [piece, id] of ids) found[id] = piece;
  // A token that is looked for in normalized text is also written so, as Python's tokenizers has it (0.23).
  for (const [id, { content, normalized }] of added) if (normalized) found[id] = normalize(content);
  const pieces = Array.from(found, (piece) => piece ?? '');

  const kindOf = (piece: string, id: number): PieceKind => {
    const token = added.get(id);
    if (token) return token.special ? PieceKind.control : PieceKind.userDefined;
    return byteOf(piece) === undefined ? PieceKind.normal : PieceKind.byte;
  };
  const markersWhere = (normalized: boolean): Marker[] =>
    [...added]
      .filter(([, token]) => token.normalized === normalized)
      .map(([id, { special }]) => ({ text: pieces[id]!, id, control: special }));

  return {
    pieces,
    kinds: pieces.map(kindOf),
    idOf: (piece) => ids.get(piece),
    rawMarkers: markerSplitter(markersWhere(false)),
    markers: markerSplitter(markersWhere(true)),
    normalize,
    encode(text) {
      const symbols: number[] = [];
      for (const character of text) {
        const id = ids.get(character);
        if (id !== undefined && !added.get(id)?.special) symbols.push(id);
        else for (const byte of Buffer.from(character)) symbols.push(byteIds[byte]!);
      }
      return applyMerges(Int32Array.from(symbols), merges);
    },
    dropLeading,
    unknownSurface: '',
    bosId: parsed.templateBos === undefined ? undefined : ids.get(parsed.templateBos),
    addBos: parsed.templateBos !== undefined,
  };
}

function isPlainBpe(model: TokenizerFile['model']): boolean {
  return (
    model.type === 'BPE' &&
    model.byte_fallback === true &&
    !(model.dropout || model.continuing_subword_prefix || model.end_of_word_suffix || model.ignore_merges)
  );
}

/** What the normalizer puts before a text, if all that it does besides is to write spaces as `▁`. */
function prependedBy(normalizer: unknown): string | undefined {
  const isReplace = (step: unknown) =>
    isRecord(step) && step.type === 'Replace' && isLiteral(step.pattern, ' ') && step.content === SPACE;
  if (isReplace(normalizer)) return '';
  if (!isRecord(normalizer) || normalizer.type !== 'Sequence' || !Array.isArray(normalizer.normalizers))
    return undefined;
  const steps: unknown[] = normalizer.normalizers;
  const [first] = steps;
  const prepends = isRecord(first) && first.type === 'Prepend' && first.prepend === SPACE;
  return steps.length === 2 && prepends && isReplace(steps[1]) ? SPACE : undefined;
}

/** Gemma's files split after each space, of which none is left by then. */
function cutsOnlyAtSpaces(preTokenizer: unknown): boolean {
  if (preTokenizer === undefined || preTokenizer === null) return true;
  return isRecord(preTokenizer) && preTokenizer.type === 'Split' && isLiteral(preTokenizer.pattern, ' ');
}

/** What the decoder drops, if besides it writes `▁` as space and joins bytes. */
function droppedBy(decoder: unknown): PieceVocabulary['dropLeading'] | undefined {
  if (!isRecord(decoder) || decoder.type !== 'Sequence' || !Array.isArray(decoder.decoders)) return undefined;
  const [replace, bytes, fuse, strip, ...more] = decoder.decoders as unknown[];
  const isType = (step: unknown, type: string) => isRecord(step) && step.type === type;
  const spaces = isRecord(replace) && isLiteral(replace.pattern, SPACE) && replace.content === ' ';
  if (!spaces || !isType(bytes, 'ByteFallback') || !isType(fuse, 'Fuse') || more.length > 0) return undefined;
  if (strip === undefined) return 'none';
  const one =
    isRecord(strip) &&
    strip.type === 'Strip' &&
    strip.content === ' ' &&
    strip.start === 1 &&
    strip.stop === 0;
  return one ? 'one' : undefined;
}

function isLiteral(pattern: unknown, text: string): boolean {
  return isRecord(pattern) && pattern.String === text;
}

function readMerges(list: unknown, ids: ReadonlyMap<string, number>, file: string): MergeTable {
  if (!Array.isArray(list) || list.length > MAX_MERGES) {
    throw new InputError(`${file}: "model.merges" is not a list of at most ${MAX_MERGES} pairs.`);
  }
  const rankOf = new Map<number, number>();
  const product = new Int32Array(list.length);
  list.forEach((entry: unknown, rank) => {
    // "a b" until 2024, ["a", "b"] since.
    const [left, right, ...more]: unknown[] =
      typeof entry === 'string' ? entry.split(' ') : Array.isArray(entry) ? entry : [];
    const whole = `${left}${right}`;
    const [a, b, ab] = [ids.get(String(left)), ids.get(String(right)), ids.get(whole)];
    if (a === undefined || b === undefined || ab === undefined || more.length > 0) {
      throw new InputError(
        `${file}: merge ${rank} (${JSON.stringify(entry)}) does not join two known pieces.`,
      );
    }
    rankOf.set(a * MAX_PIECES + b, rank);
    product[rank] = ab;
  });
  return {
    find: cachedPairs((left, right) => rankOf.get(left * MAX_PIECES + right) ?? -1),
    priority: product.map((_, rank) => rank),
    product,
  };
}
