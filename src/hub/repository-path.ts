/** Paths inside a repository: always `/`, never absolute; they come from servers and become files below the cache folder. */

import { posix } from 'node:path';

/** Longer names fit no file system we know (255 bytes a segment, 1024 a path on macOS). */
const MAX_SEGMENT_LENGTH = 255;
const MAX_PATH_LENGTH = 1024;

/**
 * Whether a `/`-separated path stays below the folder it is joined to, on POSIX and on Windows: not absolute, no `..`,
 * no backslash, no drive letter, no control character, no empty segment.
 */
export function isSafePath(path: string): boolean {
  if (path.length > MAX_PATH_LENGTH) return false;
  return path.split('/').every(isSafeSegment);
}

/** The folder a path lies in; empty for the root. */
export function folderOf(path: string): string {
  const folder = posix.dirname(path);
  return folder === '.' ? '' : folder;
}

/** The folders above a folder, the root (empty) last; none for the root itself. */
export function foldersAbove(folder: string): string[] {
  return folder === '' ? [] : [folderOf(folder), ...foldersAbove(folderOf(folder))];
}

function isSafeSegment(segment: string): boolean {
  return (
    segment !== '' &&
    segment !== '.' &&
    segment !== '..' &&
    Buffer.byteLength(segment) <= MAX_SEGMENT_LENGTH &&
    !/[\p{Cc}\\]|^[A-Za-z]:/u.test(segment)
  );
}
