/** The layout of Hugging Face's `tokenizer.json`, as far as it is looked at here, checked before it is trusted. */

import { InputError } from '../errors.js';
import { MAX_PIECES } from './pieces.js';

/** One entry of `added_tokens`. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** A control token: left out of decoded text. */
  readonly special: boolean;
  /** Looked for in the normalized text, not in the text as written. */
  readonly normalized: boolean;
  /** Whether it asks for more than finding it: word borders, or eating the spaces around it. */
  readonly fussy: boolean;
}

/** A `tokenizer.json`. Parts that only some readers know are left unknown. */
export interface TokenizerFile {
  /** The file as parsed. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly model: Readonly<Record<string, unknown>>;
  /** Id by piece; undefined where the model lists its pieces by id, as unigram models do. */
  readonly vocab: ReadonlyMap<string, number> | undefined;
  readonly addedTokens: readonly AddedToken[];
  /** The token that the post-processor puts before every text. */
  readonly templateBos: string | undefined;
}

/** Whether a parsed value is an object with keys. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole number that can be an id. */
export function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < MAX_PIECES;
}

/**
 * Parses JSON text.
 * @throws InputError naming `file` where it is not an object in JSON.
 */
export function parseJsonObject(text: string, file: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${file} is not valid JSON: ${cause instanceof Error ? cause.message : cause}.`, {
      details: { file },
      cause,
    });
  }
  if (!isRecord(value)) throw new InputError(`${file} holds no JSON object.`, { details: { file } });
  return value;
}

/**
 * Reads the text of a `tokenizer.json`.
 * @throws InputError naming `file` where its layout is another.
 */
export function parseTokenizerFile(text: string, file: string): TokenizerFile {
  const json = parseJsonObject(text, file);
  const { model, added_tokens: added = [], post_processor: postProcessor } = json;
  if (!isRecord(model)) throw new InputError(`${file} has no "model".`, { details: { file } });
  if (!Array.isArray(added))
    throw new InputError(`${file}: "added_tokens" is not a list.`, { details: { file } });
  return {
    json,
    model,
    vocab: readVocab(model.vocab, file),
    addedTokens: added.map((token, index) => addedToken(token, `${file}: added_tokens[${index}]`)),
    templateBos: templateBos(postProcessor),
  };
}

function readVocab(vocab: unknown, file: string): Map<string, number> | undefined {
  if (Array.isArray(vocab) && vocab.length <= MAX_PIECES && vocab.every(isScoredPiece)) return undefined;
  if (!isRecord(vocab))
    throw new InputError(`${file}: "model.vocab" is not {piece: id, …}.`, { details: { file } });
  const ids = new Map<string, number>();
  for (const [piece, id] of Object.entries(vocab)) {
    if (!isId(id)) {
      throw new InputError(
        `${file}: the id of ${JSON.stringify(piece)} is not a whole number below ${MAX_PIECES}.`,
      );
    }
    ids.set(piece, id);
  }
  return ids;
}

function isScoredPiece(entry: unknown): boolean {
  return Array.isArray(entry) && typeof entry[0] === 'string' && typeof entry[1] === 'number';
}

function addedToken(token: unknown, where: string): AddedToken {
  if (!isRecord(token) || !isId(token.id) || typeof token.content !== 'string' || token.content === '') {
    throw new InputError(`${where} is not {id, content, …} with an id below ${MAX_PIECES}.`);
  }
  return {
    id: token.id,
    content: token.content,
    special: token.special === true,
    normalized: token.normalized === true,
    fussy: token.single_word === true || token.lstrip === true || token.rstrip === true,
  };
}

/** The special token at the beginning of `TemplateProcessing.single`, also inside a sequence of post-processors. */
function templateBos(processor: unknown): string | undefined {
  if (!isRecord(processor)) return undefined;
  if (Array.isArray(processor.processors)) {
    return processor.processors.map(templateBos).find((token) => token !== undefined);
  }
  const first: unknown = Array.isArray(processor.single) ? processor.single[0] : undefined;
  if (!isRecord(first) || !isRecord(first.SpecialToken)) return undefined;
  return typeof first.SpecialToken.id === 'string' ? first.SpecialToken.id : undefined;
}
