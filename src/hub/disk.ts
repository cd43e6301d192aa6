/** Room on the disk: looked at before a download, and what a full one means during it. */

import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RecgemmaError, UnavailableError } from '../errors.js';

const HINT = 'Set HF_HUB_CACHE (or HF_HOME) to a folder that has room and may be written to.';

/**
 * Throws unless the disk of `folder` (which need not exist yet) has room for `bytes` more.
 *
 * @throws UnavailableError saying how much is wanted and how much there is.
 */
export async function checkRoom(folder: string, bytes: number): Promise<void> {
  const free = await freeBytes(folder);
  if (bytes <= free) return;
  throw new UnavailableError(
    `The download needs ${formatBytes(bytes)}, and the disk of ${folder} has ${formatBytes(free)} left.`,
    { hint: HINT, details: { needed: bytes, free } },
  );
}

/** Puts into words why the cache folder cannot be written to; other errors pass through. */
export function diskFailure(error: unknown, folder: string): unknown {
  if (error instanceof RecgemmaError || !(error instanceof Error) || !('code' in error)) return error;
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    return new UnavailableError(`The disk of ${folder} is full; what has been downloaded is kept.`, {
      hint: HINT,
      cause: error,
    });
  }
  if (
    error.code === 'EACCES' ||
    error.code === 'EPERM' ||
    error.code === 'EROFS' ||
    error.code === 'ENOTDIR'
  ) {
    return new UnavailableError(`The cache folder ${folder} cannot be written to (${error.code}).`, {
      hint: HINT,
      cause: error,
    });
  }
  return error;
}

/** Bytes in words: `512 B`, `1.2 GiB`. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const unit = ['B', 'KiB', 'MiB', 'GiB', 'TiB'][power];
  return power === 0 ? `${bytes} B` : `${(bytes / 1024 ** power).toFixed(1)} ${unit}`;
}

async function freeBytes(folder: string): Promise<number> {
  const found = await statfs(folder).catch(() => undefined);
  if (found) return found.bavail * found.bsize;
  const parent = dirname(folder);
  return parent === folder ? Number.POSITIVE_INFINITY : freeBytes(parent);
}
