/** Room on a disk, looked at before something large is written. */

import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { formatBytes } from './bytes.js';
import { UnavailableError } from './errors.js';

/**
 * Throws unless the disk of `folder` (which need not exist yet) has room for `bytes` more.
 * @param what what needs it, as the sentence begins: `The download`.
 * @throws UnavailableError saying how much is wanted and how much there is.
 */
export async function requireRoom(folder: string, bytes: number, what: string, hint: string): Promise<void> {
  const free = await freeBytes(resolve(folder));
  if (bytes <= free) return;
  throw new UnavailableError(
    `${what} needs ${formatBytes(bytes)}, and the disk of ${folder} has ${formatBytes(free)} left.`,
    { hint, details: { needed: bytes, free } },
  );
}

async function freeBytes(folder: string): Promise<number> {
  const found = await statfs(folder).catch(() => undefined);
  if (found) return found.bavail * found.bsize;
  const parent = dirname(folder);
  return parent === folder ? Number.POSITIVE_INFINITY : freeBytes(parent);
}
