/** The vocabulary of a `tokenizer.json` by id and by piece, with the tokens that were added to it; shared by both kinds of BPE. */

import { InputError } from '../errors.js';
import { cachedPairs, type MergeTable } from './bpe.js';
import type { AddedToken, TokenizerFile } from './json-format.js';
import { type Marker, type MarkerSplitter, markerSplitter } from './markers.js';
import { MAX_PIECES } from './pieces.js';

/** Gemma has 580 604 merges; their numbers must stay below the priorities that bpe.ts can hold. */
const MAX_MERGES = 2 ** 21;

/** Pieces and added tokens of one file. */
export interface JsonPieces {
  /** Added tokens included. */
  readonly ids: ReadonlyMap<string, number>;
  /** By id. An empty string is a gap. */
  readonly pieces: readonly string[];
  /**
   * By id, what decoding begins with: the piece, or of an added token that is looked for in normalized text its normalized form, as
   * Python's tokenizers has it (0.23).
   */
  readonly written: readonly string[];
  readonly added: ReadonlyMap<number, AddedToken>;
  readonly rawMarkers: MarkerSplitter;
  readonly markers: MarkerSplitter;
}

/** Collects them; `normalize` is the file's normalizer. */
export function jsonPieces(
  { vocab, addedTokens }: TokenizerFile,
  normalize: (text: string) => string,
): JsonPieces {
  const ids = new Map(vocab);
  const added = new Map(addedTokens.map((token) => [ids.get(token.content) ?? token.id, token]));
  for (const [id, { content }] of added) ids.set(content, id);
  const found: string[] = [];
  for (const [piece, id] of ids) found[id] = piece;
  const pieces = Array.from(found, (piece) => piece ?? '');
  const written = pieces.map((piece, id) => (added.get(id)?.normalized ? normalize(piece) : piece));
  const markersWhere = (normalized: boolean): Marker[] =>
    [...added]
      .filter(([, token]) => token.normalized === normalized)
      .map(([id, { special }]) => ({ text: written[id]!, id, control: special }));
  return {
    ids,
    pieces,
    written,
    added,
    rawMarkers: markerSplitter(markersWhere(false)),
    markers: markerSplitter(markersWhere(true)),
  };
}

/** Reads `model.merges`. @throws InputError naming the merge that does not join two pieces into a third. */
export function jsonMerges(list: unknown, ids: ReadonlyMap<string, number>, file: string): MergeTable {
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
