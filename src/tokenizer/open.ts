/** Opening the tokenizer of a model folder or a checkpoint folder, with what the files beside it say. */

import path from 'node:path';
import { InputError } from '../errors.js';
import { readOptional, readOptionalJson, readOptionalText, VOCABULARY_FILES } from './files.js';
import type { TokenizerFiles } from './find.js';
import { isId, isRecord, laterTokens } from './json-format.js';
import type { Tokenizer, TokenizerSettings } from './tokenizer.js';
import { jsonTokenizer } from './tokenizer-json.js';

/**
 * The tokenizer in a folder, or undefined where there is none. Where there are both, `tokenizer.model` is taken: it is
 * the original, of which `tokenizer.json` is a conversion (older ones of Gemma's lack the user-defined pieces), unless
 * it is of a kind that cannot be read, such as unigram, lacks tokens that were added later, or puts a space before texts:
 * only `tokenizer.json` says what becomes of that space after a control token.
 * @throws InputError where a file is damaged or cannot be served.
 */
export function openTokenizer(folder: string): Promise<Tokenizer | undefined> {
  return openTokenizerFiles(new Map(VOCABULARY_FILES.map((name) => [name, path.join(folder, name)])));
}

/** As {@link openTokenizer}, of the given vocabularies only, with what the files beside the first one say. */
export async function openTokenizerFiles(files: TokenizerFiles): Promise<Tokenizer | undefined> {
  const [first] = files.values();
  if (first === undefined) return undefined;
  const settings = await readSettings(path.dirname(first));
  const [modelFile, jsonFile] = VOCABULARY_FILES.map((name) => files.get(name));
  const json = jsonFile === undefined ? undefined : await readOptionalText(jsonFile);
  const modelBytes = modelFile === undefined ? undefined : await readOptional(modelFile);
  if (modelFile !== undefined && modelBytes && !(json !== undefined && isTiktoken(modelBytes))) {
    const [{ parseSentencePieceModel }, { obstacleIn, tokenizerOfModel }] = await Promise.all([
      import('./sentencepiece-model.js'),
      import('./sentencepiece.js'),
    ]);
    if (isTiktoken(modelBytes)) throw tiktokenError(modelFile);
    const model = parseSentencePieceModel(modelBytes, modelFile);
    const later = laterTokens(settings.addedTokens, path.join(path.dirname(first), 'tokenizer_config.json'));
    const missing = later.filter((token) => model.pieces[token.id] !== token.content);
    const serves =
      obstacleIn(model) === undefined && missing.length === 0 && !model.normalizer.addDummyPrefix;
    if (serves || json === undefined) return tokenizerOfModel(model, modelFile, settings, missing);
  }
  return json === undefined ? undefined : jsonTokenizer(json, jsonFile!, settings);
}

/** Llama 3's `tokenizer.model`, as Meta gives it out, is a list of `base64 rank`, without its special tokens and its expression. */
function isTiktoken(bytes: Buffer): boolean {
  return /^[A-Za-z0-9+/]+=* 0\r?\n/.test(bytes.toString('latin1', 0, 64));
}

function tiktokenError(file: string): InputError {
  return new InputError(`${file} is a list of ranks for tiktoken, not a SentencePiece model.`, {
    hint: "Give the tokenizer.json of the same model in Hugging Face's layout with --tokenizer.",
    details: { file },
  });
}

/**
 * What the files beside a tokenizer say: `tokenizer_config.json`, or else `special_tokens_map.json`, names the special tokens and says
 * whether texts begin with BOS; `generation_config.json`, or else `config.json`, gives ids (of EOS, sometimes a list).
 */
export async function readSettings(folder: string): Promise<TokenizerSettings> {
  const [tokenizer = {}, tokens = {}, generation = {}, config = {}] = await Promise.all([
    readOptionalJson(path.join(folder, 'tokenizer_config.json')),
    readOptionalJson(path.join(folder, 'special_tokens_map.json')),
    readOptionalJson(path.join(folder, 'generation_config.json')),
    readOptionalJson(path.join(folder, 'config.json')),
  ]);
  const idsAt = (key: string): number[] => [generation[key] ?? config[key]].flat().filter(isId);
  return defined({
    addedTokens: tokenizer.added_tokens_decoder,
    addBos: flag(tokenizer.add_bos_token),
    legacy: flag(tokenizer.legacy),
    bosToken: tokenText(tokenizer.bos_token ?? tokens.bos_token),
    eosToken: tokenText(tokenizer.eos_token ?? tokens.eos_token),
    padToken: tokenText(tokenizer.pad_token ?? tokens.pad_token),
    bosId: idsAt('bos_token_id')[0],
    eosIds: idsAt('eos_token_id'),
    padId: idsAt('pad_token_id')[0],
  });
}

function flag(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

/** A token of `tokenizer_config.json`: a text, or an object that has it as `content`. */
function tokenText(token: unknown): string | undefined {
  const text = isRecord(token) ? token.content : token;
  return typeof text === 'string' ? text : undefined;
}

/** The same object without its undefined entries. */
function defined<T extends object>(entries: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
