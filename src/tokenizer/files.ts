/** Reading the files that make up a tokenizer. */

import { readFile, stat } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { parseJsonObject } from './json-format.js';

/**
 * The largest in use, Gemma 3's `tokenizer.json`, has 33 MB. A crafted file of nothing but brackets takes up to 50
 * times its size in memory, so there is not much room above that.
 */
const MAX_FILE_BYTES = 48 * 2 ** 20;

/** The files that hold a vocabulary, the preferred one first. */
export const VOCABULARY_FILES = ['tokenizer.model', 'tokenizer.json'] as const;

/**
 * The bytes of a file, or undefined where there is no such file.
 * @throws InputError where it is not an ordinary file, too large, or not readable.
 */
export async function readOptional(file: string): Promise<Buffer | undefined> {
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
export async function readOptionalText(file: string): Promise<string | undefined> {
  return (await readOptional(file))?.toString('utf8');
}

/** As `readOptional`, as a JSON object. */
export async function readOptionalJson(file: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readOptionalText(file);
  return text === undefined ? undefined : parseJsonObject(text, file);
}
