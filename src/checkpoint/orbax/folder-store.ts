/** A folder of files as a key-value store: how Orbax lays arrays down without OCDBT. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../errors.js';
import { fileSize, type KeyValueStore, reading, type StoredValue } from './stored-value.js';

/** Files in one folder tree; a fully sharded 9B checkpoint has some 150,000. */
const MAX_FILES = 2 ** 20;

/** Folders inside folders: a `/` in a key adds one, zarr v3 one for each axis. */
const MAX_DEPTH = 40;

/** Lists all files under `folder`; keys are their paths with `/`. Links to files are followed, links to folders are not. */
export async function openFolder(folder: string): Promise<KeyValueStore> {
  const entries = new Map<string, StoredValue>();
  await list(folder, '', entries, 0);
  return { entries, structureFiles: [] };
}

async function list(
  folder: string,
  prefix: string,
  entries: Map<string, StoredValue>,
  depth: number,
): Promise<void> {
  if (depth > MAX_DEPTH || entries.size > MAX_FILES) {
    throw new InputError(`"${folder}" holds more folders and files than any checkpoint does.`);
  }
  const path = join(folder, prefix);
  for (const entry of await reading(path, () => readdir(path, { withFileTypes: true }))) {
    const key = prefix + entry.name;
    if (entry.isDirectory()) {
      await list(folder, `${key}/`, entries, depth + 1);
    } else {
      const file = join(folder, key);
      const length = await fileSize(file);
      if (length !== undefined) entries.set(key, { file, offset: 0, length });
    }
  }
}
