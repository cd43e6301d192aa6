/** Finding and reading the files that make up a tokenizer. */

import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../errors.js';
import { parseJsonObject } from './json-format.js';

/**
 * The largest in use, Gemma 3's `tokenizer.json`, has 33 MB. A crafted file of nothing but brackets takes up to 50
 * times its size in memory, so there is not much room above that.
 */
const MAX_FILE_BYTES = 48 * 2 ** 20;

/** The files that hold a vocabulary, the preferred one first. */
export const VOCABULARY_FILES = ['tokenizer.model', 'tokenizer.json'] as const;

const COMPANION_FILES = ['tokenizer_config.json', 'special_tokens_map.json', 'chat_template.jinja'];

/**
 * The files of the tokenizer that belongs to a checkpoint (a folder or a file): those beside it, or else those of a
 * folder one level down, or else of the one above, where Kaggle's archives have `tokenizer.model` beside `2b-it/`.
 * Empty where there are none.
 */
export async function findTokenizerFiles(checkpointPath: string): Promise<string[]> {
  const isFolder = (await stat(checkpointPath).catch(() => undefined))?.isDirectory() ?? false;
  const folder = isFolder ? checkpointPath : path.dirname(checkpointPath);
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
  const places = [
    folder,
    ...below.map((entry) => path.join(folder, entry.name)).sort(),
    path.join(folder, '..'),
  ];
  for (const place of places) {
    const vocabularies = await existing(place, VOCABULARY_FILES);
    if (vocabularies.length > 0) return [...vocabularies, ...(await existing(place, COMPANION_FILES))];
  }
  return [];
}

async function existing(folder: string, names: readonly string[]): Promise<string[]> {
  const paths = names.map((name) => path.join(folder, name));
  const found = await Promise.all(paths.map((file) => stat(file).catch(() => undefined)));
  return paths.filter((_, index) => found[index]?.isFile());
}

/**
 * The bytes of a file in a folder, or undefined where there is no such file.
 * @throws InputError where it is not an ordinary file, too large, or not readable.
 */
export async function readOptional(folder: string, name: string): Promise<Buffer | undefined> {
  const file = path.join(folder, name);
  const found = await stat(file).catch(() => undefined);
  if (!found) return undefined;
  if (!found.isFile()) throw new InputError(`${file} is not an ordinary file.`, { details: { file } });
  if (found.size > MAX_FILE_BYTES) {
    throw new InputError(
      `${file} has ${found.size} bytes; a tokenizer's files have at most ${MAX_FILE_BYTES}.`,
      {
        details: { file },
      },
    );
  }
  return readFile(file).catch((cause: unknown) => {
    throw new InputError(`${file} cannot be read: ${cause instanceof Error ? cause.message : cause}.`, {
      cause,
    });
  });
}

/** As `readOptional`, as text. */
export async function readOptionalText(folder: string, name: string): Promise<string | undefined> {
  return (await readOptional(folder, name))?.toString('utf8');
}

/** As `readOptional`, as a JSON object. */
export async function readOptionalJson(
  folder: string,
  name: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readOptionalText(folder, name);
  return text === undefined ? undefined : parseJsonObject(text, path.join(folder, name));
}
