/** Finding the files that make up a tokenizer: in a named place, or near a checkpoint. */

import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { readOptional, VOCABULARY_FILES } from './files.js';

const COMPANION_FILES = ['tokenizer_config.json', 'special_tokens_map.json', 'chat_template.jinja'];

/** Files of a folder that is a model by itself: a Hugging Face checkpoint, or a folder that recgemma made. */
const MODEL_MARKS = ['config.json', 'recgemma.json'];

/** A tokenizer's files, vocabularies first: the path of each by its usual name. Empty where there is none. */
export type TokenizerFiles = ReadonlyMap<string, string>;

/** The tokenizer that belongs to a checkpoint, as far as can be told. */
export interface FoundTokenizer {
  readonly files: TokenizerFiles;
  /** Whether the files lie in another folder than the checkpoint's own. */
  readonly elsewhere: boolean;
  /** Several folders below the checkpoint's that hold a tokenizer each; none of them is taken then. */
  readonly rivals: readonly string[];
}

/**
 * The tokenizer at a path that somebody named: of a folder what it holds, and nothing of those around it; of a file that very
 * vocabulary, whatever it is called, and the companions beside it.
 * @throws InputError for a file that cannot be read.
 */
export async function tokenizerAt(place: string): Promise<TokenizerFiles> {
  if ((await stat(place).catch(() => undefined))?.isDirectory()) return tokenizerIn(place);
  const bytes = await readOptional(place);
  if (!bytes) return new Map();
  const kind = looksLikeJson(bytes) ? 'tokenizer.json' : 'tokenizer.model';
  return new Map([[kind, place], ...(await existing(path.dirname(place), COMPANION_FILES))]);
}

/** The tokenizer that a folder holds. */
export async function tokenizerIn(folder: string): Promise<TokenizerFiles> {
  const vocabularies = await existing(folder, VOCABULARY_FILES);
  if (vocabularies.length === 0) return new Map();
  return new Map([...vocabularies, ...(await existing(folder, COMPANION_FILES))]);
}

/**
 * The tokenizer that belongs to a checkpoint (a folder or a file): the one beside it, or else that of the only folder one level
 * down which has one and is no model by itself, or else that of the folder above, where Kaggle's archives have `tokenizer.model`
 * beside `2b-it/`.
 */
export async function findTokenizer(checkpoint: string): Promise<FoundTokenizer> {
  const isFolder = (await stat(checkpoint).catch(() => undefined))?.isDirectory() ?? false;
  const folder = isFolder ? checkpoint : path.dirname(checkpoint);
  const own = await tokenizerIn(folder);
  if (own.size > 0) return { files: own, elsewhere: false, rivals: [] };

  const below = new Map<string, TokenizerFiles>();
  for (const place of await foldersIn(folder)) {
    const files = await tokenizerIn(place);
    if (files.size > 0 && (await existing(place, MODEL_MARKS)).length === 0) below.set(place, files);
  }
  if (below.size > 1) return { files: new Map(), elsewhere: false, rivals: [...below.keys()] };
  const [files = await tokenizerIn(path.join(folder, '..'))] = below.values();
  return { files, elsewhere: files.size > 0, rivals: [] };
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
  return folders.map((entry) => path.join(folder, entry.name)).sort();
}

/** Those of a folder's files that are there: name and path of each. */
async function existing(folder: string, names: readonly string[]): Promise<[name: string, path: string][]> {
  const files = names.map((name): [string, string] => [name, path.join(folder, name)]);
  const found = await Promise.all(files.map(([, file]) => stat(file).catch(() => undefined)));
  return files.filter((_, index) => found[index]?.isFile());
}

/** A SentencePiece model, too, may begin with bytes of white space: the tag and length of its first piece. No brace follows them. */
function looksLikeJson(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 64).trimStart().startsWith('{');
}
