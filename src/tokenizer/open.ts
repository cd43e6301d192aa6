/** Opening the tokenizer of a model folder or a checkpoint folder, with what the files beside it say. */

import path from 'node:path';
import { readOptional, readOptionalJson, readOptionalText, VOCABULARY_FILES } from './files.js';
import type { TokenizerFiles } from './find.js';
import { isId, isRecord } from './json-format.js';
import type { Tokenizer, TokenizerSettings } from './tokenizer.js';
import { jsonTokenizer } from './tokenizer-json.js';

/**
 * The tokenizer in a folder, or undefined where there is none. Where there are both, `tokenizer.model` is taken: it is
 * the original, of which `tokenizer.json` is a conversion (older ones of Gemma's lack the user-defined pieces), unless
 * it is of a kind that cannot be read, such as unigram, or lacks tokens that were added later.
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
  const json = async () => (jsonFile === undefined ? undefined : readOptionalText(jsonFile));
  const modelBytes = modelFile === undefined ? undefined : await readOptional(modelFile);
  if (modelFile !== undefined && modelBytes) {
    const [{ parseSentencePieceModel }, { obstacleIn, tokenizerOfModel }] = await Promise.all([
      import('./sentencepiece-model.js'),
      import('./sentencepiece.js'),
    ]);
    const model = parseSentencePieceModel(modelBytes, modelFile);
    const serves = obstacleIn(model) === undefined && hasAll(model.pieces, settings.addedTokens);
    if (serves || (await json()) === undefined) return tokenizerOfModel(model, modelFile, settings);
  }
  const text = await json();
  return text === undefined ? undefined : jsonTokenizer(text, jsonFile!, settings);
}

/** Settings, and the tokens that `tokenizer_config.json` lists as `{id: {content}}`, as found. */
export interface FolderSettings extends TokenizerSettings {
  readonly addedTokens?: unknown;
}

function hasAll(pieces: readonly string[], addedTokens: unknown): boolean {
  if (!isRecord(addedTokens)) return true;
  return Object.entries(addedTokens).every(([id, token]) => pieces[Number(id)] === tokenText(token));
}

/**
 * What the files beside a tokenizer say: `tokenizer_config.json` names the special tokens and says whether texts begin
 * with BOS; `generation_config.json`, or else `config.json`, gives ids (of EOS, sometimes a list).
 */
export async function readSettings(folder: string): Promise<FolderSettings> {
  const [tokenizer = {}, generation = {}, config = {}] = await Promise.all([
    readOptionalJson(path.join(folder, 'tokenizer_config.json')),
    readOptionalJson(path.join(folder, 'generation_config.json')),
    readOptionalJson(path.join(folder, 'config.json')),
  ]);
  const idsAt = (key: string): number[] => [generation[key] ?? config[key]].flat().filter(isId);
  return defined({
    addedTokens: tokenizer.added_tokens_decoder,
    addBos: typeof tokenizer.add_bos_token === 'boolean' ? tokenizer.add_bos_token : undefined,
    bosToken: tokenText(tokenizer.bos_token),
    eosToken: tokenText(tokenizer.eos_token),
    padToken: tokenText(tokenizer.pad_token),
    bosId: idsAt('bos_token_id')[0],
    eosIds: idsAt('eos_token_id'),
    padId: idsAt('pad_token_id')[0],
  });
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
