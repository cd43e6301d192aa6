/** Byte-level BPE from `tokenizer.json`, as GPT-2 brought it up: Llama 3, and GPT-NeoX's vocabulary, which Mamba has too. */

import { applyMerges } from './bpe.js';
import { BYTE_CHARACTERS, bytesOfPiece } from './byte-alphabet.js';
import { isRecord, type TokenizerFile } from './json-format.js';
import { type JsonPieces, jsonMerges, jsonPieces } from './json-pieces.js';
import { partOf, type Step, stepsOf, unsupported } from './json-steps.js';
import type { PieceVocabulary } from './piece-tokenizer.js';
import { GPT2_SPLIT, isolate, splitPattern } from './split-pattern.js';
import type { StreamingDecoder, TokenId } from './tokenizer.js';

/** Words that are remembered with their ids; ordinary text hardly has more that are frequent. */
const CACHED_WORDS = 2 ** 16;

/** Longer words are not remembered: they hardly come again. */
const CACHED_LENGTH = 64;

/**
 * The vocabulary of a file of this kind.
 * @throws InputError where it is damaged, or one of its parts is not supported.
 */
export function byteLevelVocabulary(parsed: TokenizerFile, file: string): PieceVocabulary {
  const decoders = stepsOf(parsed.json.decoder, 'decoders');
  if (decoders.length !== 1 || decoders[0]?.type !== 'ByteLevel') {
    throw unsupported(file, partOf('decoder', decoders));
  }
  const normalize = normalization(parsed.json.normalizer, file);
  const { cut, spaceBefore } = preTokenization(parsed.json.pre_tokenizer, file);
  const found = jsonPieces(parsed, normalize);
  const encodeWord = wordEncoder(parsed, found, file);
  const isControl = (id: number) => found.added.get(id)?.special === true;
  const surfaces: Uint8Array[] = [];
  const surface = (id: number) => (surfaces[id] ??= bytesOfPiece(found.written[id] ?? ''));

  return {
    pieces: found.pieces,
    idOf: (piece) => found.ids.get(piece),
    isControl,
    rawMarkers: found.rawMarkers,
    markers: found.markers,
    spaceBefore,
    normalize,
    *encode(text, spaced) {
      const whole = spaced && text !== '' && !text.startsWith(' ') ? ` ${text}` : text;
      for (const word of cut(whole)) yield* encodeWord(word);
    },
    decoder: ({ skipSpecial }) =>
      new ByteLevelDecoder((id) => (skipSpecial && isControl(id) ? undefined : surface(id))),
    addBos: false,
  };
}

/** Unicode's normal forms, which JavaScript has by the same names. */
function normalization(normalizer: unknown, file: string): (text: string) => string {
  const steps = stepsOf(normalizer, 'normalizers');
  const forms = steps.map((step) => String(step.type));
  if (!forms.every((form) => /^NFK?[CD]$/.test(form))) throw unsupported(file, partOf('normalizer', steps));
  return (text) => forms.reduce((normal, form) => normal.normalize(form), text);
}

/** How words are cut: by the file's own expressions, or by GPT-2's, or both. */
function preTokenization(
  preTokenizer: unknown,
  file: string,
): { cut: (text: string) => string[]; spaceBefore: PieceVocabulary['spaceBefore'] } {
  const steps = stepsOf(preTokenizer, 'pretokenizers');
  const last = steps.at(-1);
  const splits = steps.slice(0, -1);
  if (last?.type !== 'ByteLevel') throw unsupported(file, partOf('pre_tokenizer', steps));
  if (last.add_prefix_space === true && splits.length > 0) {
    throw unsupported(file, 'a ByteLevel that puts a space before each word');
  }
  const patterns = splits.map((step) => splitOf(step, steps, file));
  if (last.use_regex !== false) patterns.push(splitPattern(GPT2_SPLIT)!);
  return {
    cut: (text) =>
      patterns.reduce((parts, pattern) => parts.flatMap((part) => isolate(part, pattern)), [text]),
    spaceBefore: last.add_prefix_space === true ? 'each' : 'none',
  };
}

function splitOf(step: Step, steps: readonly Step[], file: string): RegExp {
  if (step.type !== 'Split') throw unsupported(file, partOf('pre_tokenizer', steps));
  if (step.behavior !== 'Isolated' || step.invert === true) {
    throw unsupported(file, `a Split whose behavior is not Isolated but ${step.behavior}`);
  }
  const expression = isRecord(step.pattern) ? step.pattern.Regex : undefined;
  const pattern = typeof expression === 'string' ? splitPattern(expression) : undefined;
  if (!pattern) throw unsupported(file, `a Split by ${JSON.stringify(step.pattern)}`);
  return pattern;
}

/** Encodes words: bytes, merged by rank. With `ignore_merges` a word that is a piece is that piece, however it would merge. */
function wordEncoder(
  { model, vocab }: TokenizerFile,
  { ids, added }: JsonPieces,
  file: string,
): (word: string) => readonly number[] {
  const byteIds = BYTE_CHARACTERS.map((character) => vocab?.get(character));
  const missing = byteIds.indexOf(undefined);
  if (missing >= 0) throw unsupported(file, `no piece for the byte ${missing}`);
  const merges = jsonMerges(model.merges, ids, file);
  const cache = new Map<string, readonly number[]>();

  const encode = (word: string): readonly number[] => {
    const bytes = Buffer.from(word);
    if (model.ignore_merges === true) {
      const whole = vocab?.get(Array.from(bytes, (byte) => BYTE_CHARACTERS[byte]).join(''));
      if (whole !== undefined && !added.get(whole)?.special) return [whole];
    }
    return Array.from(
      applyMerges(
        Int32Array.from(bytes, (byte) => byteIds[byte]!),
        merges,
      ),
    );
  };
  return (word) => {
    const known = cache.get(word);
    if (known) return known;
    const fresh = encode(word);
    if (cache.size >= CACHED_WORDS) cache.clear();
    if (word.length <= CACHED_LENGTH) cache.set(word, fresh);
    return fresh;
  };
}

/** Joins the bytes of pieces into characters; bytes that are none become U+FFFD, as many as Rust and WHATWG write. */
class ByteLevelDecoder implements StreamingDecoder {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(private readonly surface: (id: TokenId) => Uint8Array | undefined) {}

  push(id: TokenId): string {
    const bytes = this.surface(id);
    return bytes ? this.decoder.decode(bytes, { stream: true }) : '';
  }

  end(): string {
    return this.decoder.decode();
  }
}
