/** The layout of Hugging Face's `tokenizer.json`, as far as it is looked at here, checked before it is trusted. */

import path from 'node:path';
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
  /** What it asks for beside finding it: `single_word`, `lstrip` or `rstrip`. */
  readonly wish: string | undefined;
}

/** A `tokenizer.json`. Parts that only some readers know are left unknown. */
export interface TokenizerFile {
  /** The file as parsed. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly model: Readonly<Record<string, unknown>>;
  /** Id by piece; undefined where the model lists its pieces by id, as unigram models do. */
  readonly vocab: ReadonlyMap<string, number> | undefined;
  readonly addedTokens: readonly AddedToken[];
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
 * @param more tokens that `tokenizer_config.json` lists by id; those that the file lacks are added to it, as transformers does.
 * @throws InputError naming `file` where its layout is another.
 */
export function parseTokenizerFile(text: string, file: string, more?: unknown): TokenizerFile {
  const json = parseJsonObject(text, file);
  const { model, added_tokens: added = [] } = json;
  if (!isRecord(model)) throw new InputError(`${file} has no "model".`, { details: { file } });
  if (!Array.isArray(added))
    throw new InputError(`${file}: "added_tokens" is not a list.`, { details: { file } });
  const addedTokens = added.map((token, index) => addedToken(token, `${file}: added_tokens[${index}]`));
  const contents = new Set(addedTokens.map((token) => token.content));
  const missing = laterTokens(more, path.join(path.dirname(file), 'tokenizer_config.json'));
  return {
    json,
    model,
    vocab: readVocab(model.vocab, file),
    addedTokens: [...addedTokens, ...missing.filter((token) => !contents.has(token.content))],
  };
}

/** The tokens of `added_tokens_decoder` in `tokenizer_config.json`; `file` names that in errors. */
export function laterTokens(list: unknown, file: string): AddedToken[] {
  if (!isRecord(list)) return [];
  return Object.entries(list).map(([id, token]) => {
    const entry = isRecord(token) ? { ...token, id: Number(id) } : { content: token, id: Number(id) };
    return addedToken(entry, `${file}: added_tokens_decoder[${JSON.stringify(id)}]`);
  });
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
    wish: ['single_word', 'lstrip', 'rstrip'].find((key) => token[key] === true),
  };
}
