/** Small JSON files that describe a model. */

import { readFile, stat } from 'node:fs/promises';
import { parseJsonObject } from '../checkpoint/json-object.js';
import { InputError } from '../errors.js';

/** A parsed file, and the path by which messages name it. */
export interface JsonFile {
  readonly path: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Configurations have a few kB; more is something else. */
const MAX_CONFIG_BYTES = 1 << 20;

/** Reads a JSON object. @throws InputError where there is no such file or it holds anything else. */
export async function readJsonFile(path: string): Promise<JsonFile> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new InputError(`${path} cannot be read.`, { cause });
  });
  if (!found.isFile() || found.size > MAX_CONFIG_BYTES) {
    throw new InputError(`${path} is not a JSON file of at most ${MAX_CONFIG_BYTES} bytes.`);
  }
  return { path, json: Object.fromEntries(parseJsonObject(await readFile(path), path)) };
}

/** As {@link readJsonFile}, or undefined where there is no such file. */
export async function readOptionalJsonFile(path: string): Promise<JsonFile | undefined> {
  return (await stat(path).catch(() => undefined))?.isFile() ? readJsonFile(path) : undefined;
}
