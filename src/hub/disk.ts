/** Room on the disk: looked at before a download, and what a full one means during it. */

import { requireRoom } from '../disk-room.js';
import { RecgemmaError, UnavailableError } from '../errors.js';

const HINT = 'Set HF_HUB_CACHE (or HF_HOME) to a folder that has room and may be written to.';

/** Throws UnavailableError unless the cache's disk has room for `bytes` more. */
export function checkRoom(folder: string, bytes: number): Promise<void> {
  return requireRoom(folder, bytes, 'The download', HINT);
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
