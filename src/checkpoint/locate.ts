/** Finding the file of a checkpoint that is named by its folder. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** What a format's files are called, the most telling first. */
export interface FileNames {
  /** Full names, taken in this order. */
  readonly usual: readonly string[];
  /** Otherwise the first of these patterns that exactly one file matches. */
  readonly patterns: readonly RegExp[];
}

/** The file to open: `path` itself unless it is a folder; undefined if the folder holds no single candidate. */
export async function locateFile(path: string, names: FileNames): Promise<string | undefined> {
  const entries = await readdir(path).catch(() => undefined);
  if (entries === undefined) return path;
  for (const name of names.usual) {
    if (entries.includes(name)) return join(path, name);
  }
  for (const pattern of names.patterns) {
    const matches = entries.filter((name) => pattern.test(name));
    if (matches.length === 1) return join(path, matches[0]!);
  }
  return undefined;
}
