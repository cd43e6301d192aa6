/** BPE with byte fallback from `tokenizer.json`, as Gemma, Llama 2 and Mistral were converted from SentencePiece. */

import { applyMerges } from './bpe.js';
import { isRecord, type TokenizerFile } from './json-format.js';
import { jsonMerges, jsonPieces } from './json-pieces.js';
import { partOf, type Step, stepsOf, unsupported } from './json-steps.js';
import { PieceDecoder } from './piece-decoder.js';
import type { PieceVocabulary } from './piece-tokenizer.js';
import { byteFallbackIds, byteOf, PieceKind, SPACE } from './pieces.js';

/**
 * The vocabulary of a file of this kind.
 * @throws InputError where it is damaged, or one of its parts is not supported.
 */
export function jsonBpeVocabulary(parsed: TokenizerFile, file: string): PieceVocabulary {
  const { model } = parsed;
  if (model.ignore_merges) throw unsupported(file, '"model.ignore_merges" together with byte fallback');
  const { spaceBefore, by } = spaceRule(parsed.json, file);
  const dropLeading = droppedBy(parsed.json.decoder, file);
  const withSpaces = (text: string, spaced: boolean) => {
    // Metaspace puts none before a text that begins with one.
    const before = spaced && text !== '' && (by === 'normalizer' || !/^[ ▁]/u.test(text));
    return (before ? SPACE : '') + text.replaceAll(' ', SPACE);
  };
  const asItIs = (text: string) => text;
  const [normalize, prepare] = by === 'normalizer' ? [withSpaces, asItIs] : [asItIs, withSpaces];
  const found = jsonPieces(parsed, (text) => normalize(text, spaceBefore !== 'none'));
  const { ids, pieces, added } = found;
  const byteIds = byteFallbackIds((piece) => ids.get(piece));
  if (!byteIds) throw unsupported(file, 'byte fallback without a piece for each byte');
  const merges = jsonMerges(model.merges, ids, file);

  const kinds = pieces.map((piece, id): PieceKind => {
    const token = added.get(id);
    if (token) return token.special ? PieceKind.control : PieceKind.userDefined;
    return byteOf(piece) === undefined ? PieceKind.normal : PieceKind.byte;
  });
  const surfaces = { pieces: found.written, kinds, dropLeading, unknownSurface: '', dropsByte: true };

  return {
    pieces,
    idOf: (piece) => ids.get(piece),
    isControl: (id) => added.get(id)?.special === true,
    rawMarkers: found.rawMarkers,
    markers: found.markers,
    spaceBefore,
    normalize,
    encode(text, spaced) {
      const symbols: number[] = [];
      for (const character of prepare(text, spaced)) {
        const id = ids.get(character);
        if (id !== undefined && !added.get(id)?.special) symbols.push(id);
        else for (const byte of Buffer.from(character)) symbols.push(byteIds[byte]!);
      }
      return applyMerges(Int32Array.from(symbols), merges);
    },
    decoder: (options) => new PieceDecoder(surfaces, options),
    addBos: false,
  };
}

/**
 * Where spaces are put, and by whom: by the normalizer (`Prepend`, before each stretch between added tokens) or by the pre-tokenizer
 * (`Metaspace`, which takes its place in files made with `legacy: false` and by transformers 5). Both write spaces as `▁`, and do
 * nothing else.
 */
function spaceRule(
  json: TokenizerFile['json'],
  file: string,
): { spaceBefore: PieceVocabulary['spaceBefore']; by: 'normalizer' | 'pre_tokenizer' } {
  const steps = stepsOf(json.normalizer, 'normalizers');
  const cuts = stepsOf(json.pre_tokenizer, 'pretokenizers');
  const [cut] = cuts;
  if (steps.length === 0 && cuts.length === 1 && cut?.type === 'Metaspace') {
    return { spaceBefore: metaspaceRule(cut, file), by: 'pre_tokenizer' };
  }
  // Gemma's files split after each space, of which none is left by then.
  const splitsNothing = cuts.every((step) => step.type === 'Split' && isLiteral(step.pattern, ' '));
  if (!splitsNothing) throw unsupported(file, partOf('pre_tokenizer', cuts));
  const last = steps.at(-1);
  const replaces = last?.type === 'Replace' && isLiteral(last.pattern, ' ') && last.content === SPACE;
  const prepends = steps.length === 2 && steps[0]?.type === 'Prepend' && steps[0].prepend === SPACE;
  if (!replaces || !(steps.length === 1 || prepends)) throw unsupported(file, partOf('normalizer', steps));
  return { spaceBefore: prepends ? 'each' : 'none', by: 'normalizer' };
}

function metaspaceRule(step: Step, file: string): PieceVocabulary['spaceBefore'] {
  const places = { always: 'each', first: 'first', never: 'none' } as const;
  const scheme = String(step.prepend_scheme);
  if (step.replacement !== SPACE || step.split !== false || !Object.hasOwn(places, scheme)) {
    throw unsupported(file, 'a Metaspace that splits, or that does not say where it puts spaces');
  }
  return places[scheme as keyof typeof places];
}

/** What the decoder drops at the beginning, if besides it writes `▁` as space and joins bytes. */
function droppedBy(decoder: unknown, file: string): 'one' | 'none' {
  const steps = stepsOf(decoder, 'decoders');
  const [replace, bytes, fuse, strip] = steps;
  const joins =
    replace?.type === 'Replace' &&
    isLiteral(replace.pattern, SPACE) &&
    replace.content === ' ' &&
    bytes?.type === 'ByteFallback' &&
    fuse?.type === 'Fuse';
  const strips = strip?.type === 'Strip' && strip.content === ' ' && strip.start === 1 && strip.stop === 0;
  if (!joins || steps.length > 4 || (strip !== undefined && !strips)) {
    throw unsupported(file, partOf('decoder', steps));
  }
  return strips ? 'one' : 'none';
}

function isLiteral(pattern: unknown, text: string): boolean {
  return isRecord(pattern) && pattern.String === text;
}
