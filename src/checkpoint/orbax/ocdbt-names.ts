/** Names in OCDBT structures: strings that share prefixes with their predecessors, and the tables of data files made of them. */

import type { ByteCursor } from './byte-cursor.js';
import { Damage } from './damage.js';

/** Bounds on one table of data files; a node of a 9B checkpoint names some hundred files of 60 bytes. */
const MAX_DATA_FILES = 65_536;
const PATH_LIMITS = { each: 4096, total: 4 * 1024 * 1024 };

/** A data file that a node or manifest names. */
export interface DataFile {
  /** Path under the database's folder. */
  readonly path: string;
  /** What the paths in nodes *inside* this file are relative to: another database's folder, or the empty string. */
  readonly base: string;
}

/** Reads strings of which each repeats the first `shared[i]` bytes of its predecessor and adds `lengths[i]` own ones. */
export function readSharedPrefixStrings(
  cursor: ByteCursor,
  shared: readonly number[],
  lengths: readonly number[],
  limits: { readonly each: number; readonly total: number },
): Uint8Array[] {
  let previous = new Uint8Array(0);
  let total = 0;
  return lengths.map((length, index) => {
    const prefix = shared[index]!;
    if (prefix > previous.length) throw new Damage('a name repeats more of the name before it than there is');
    total += prefix + length;
    if (prefix + length > limits.each || total > limits.total)
      throw new Damage('its names are absurdly long');
    const name = new Uint8Array(prefix + length);
    name.set(previous.subarray(0, prefix));
    name.set(cursor.bytes(length), prefix);
    previous = name;
    return name;
  });
}

/** Reads a table of data files whose paths are relative to `base`. */
export function readDataFileTable(cursor: ByteCursor, base: string): DataFile[] {
  const count = cursor.count(0, MAX_DATA_FILES);
  if (count === 0) return [];
  const shared = [0, ...cursor.column(count - 1, () => cursor.size())];
  const lengths = cursor.column(count, () => cursor.size());
  const baseLengths = cursor.column(count, () => cursor.size());
  const paths = readSharedPrefixStrings(cursor, shared, lengths, PATH_LIMITS);
  return paths.map((path, index) => {
    if (baseLengths[index]! > path.length) throw new Damage('a base path is longer than its path');
    const file = { path: base + text(path), base: base + text(path.subarray(0, baseLengths[index]!)) };
    refuseEscape(file.path);
    return file;
  });
}

/** UTF-8 text; other bytes throw {@link Damage}. */
export function text(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Damage('one of its names is not UTF-8');
  }
}

/** Refuses names that could lead out of the checkpoint's folder. (Tables of empty databases do hold the empty name.) */
export function refuseEscape(path: string): void {
  if (path === '') return;
  const segments = path.split(/[/\\]/);
  const bad = path.includes('\0') || segments.includes('..') || segments[0] === '' || /^[A-Za-z]:/.test(path);
  if (bad) throw new Damage(`it names the path ${JSON.stringify(path)}, which leads out of the checkpoint`);
}
