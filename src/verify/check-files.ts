/** Are a model folder's files the ones that were written? */

import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hashFiles } from '../convert/hash-files.js';
import { MODEL_FILE } from '../graph/save.js';
import type { FileRecord, ModelFolder } from '../manifest.js';
import type { CheckList } from './report.js';

/** Checks presence, size and sha256 of every file that the manifest names. */
export async function checkFiles(
  { path, manifest }: ModelFolder,
  checks: CheckList,
  signal: AbortSignal | undefined,
): Promise<void> {
  const wrong = [MODEL_FILE]
    .filter((name) => !Object.hasOwn(manifest.files, name))
    .map((name) => `the manifest has no ${name}`);
  const right: [name: string, record: FileRecord][] = [];
  for (const [name, record] of Object.entries(manifest.files)) {
    const problem = await unlike(path, name, record);
    if (problem) wrong.push(problem);
    else right.push([name, record]);
  }
  const hashes = await hashFiles(
    right.map(([name]) => join(path, name)),
    signal,
  ).result;
  for (const [i, [name, { sha256 }]] of right.entries()) {
    if (hashes[i]!.sha256 !== sha256) {
      wrong.push(
        `${name} has been changed: its sha256 begins ${hashes[i]!.sha256.slice(0, 8)}, not ${sha256.slice(0, 8)}`,
      );
    }
  }
  const found = `${right.length} files with the sizes and hashes of the manifest`;
  checks.decide('files', wrong.length === 0, wrong.length === 0 ? found : wrong.join('; '));
}

/** What is wrong with a file as far as can be told without reading it. */
async function unlike(
  folder: string,
  name: string,
  { bytes, sha256 }: FileRecord,
): Promise<string | undefined> {
  // A manifest is a file like any other: it must not make us read outside its folder.
  if (name !== basename(name) || typeof sha256 !== 'string')
    return `the manifest's entry "${name}" is no file's`;
  const found = await stat(join(folder, name)).catch(() => undefined);
  if (!found?.isFile()) return `${name} is missing`;
  return found.size === bytes ? undefined : `${name} has ${found.size} bytes, not ${bytes}`;
}
