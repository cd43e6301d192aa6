/** A file of a repository as the hub lists it; nothing in a listing is believed before it has been checked here. */

import { InputError } from '../errors.js';
import { isSafePath } from './repository-path.js';

/** A file of a repository at one commit. */
export interface HubFile {
  /** `/`-separated path inside the repository. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What the content is checked against: SHA-256 of a large (LFS) file, git's blob SHA-1 of a small one. */
  readonly digest: { readonly algorithm: 'sha256' | 'git-sha1'; readonly hex: string };
  /** Git's id of the blob: of the pointer for LFS files, otherwise the same as the digest. */
  readonly blobId: string;
  /** The id in the hub's chunk store; not used here, kept for Python's client, which shares the cached listing. */
  readonly xetHash: string | undefined;
}

/** A full commit id: the only revision that names the same files forever. */
export function isCommit(text: unknown): text is string {
  return isHex(text, 40);
}

/** Checks one untrusted entry: of the hub's tree listing, or of the copy of it that the cache keeps.
 *
 * @param source who says so, for the message.
 * @throws InputError naming the entry that no honest hub would send.
 */
export function checkedFile(
  entry: { path: unknown; size: unknown; blobId: unknown; sha256: unknown; xetHash: unknown },
  source: string,
): HubFile {
  const { path, size, blobId, sha256, xetHash } = entry;
  if (typeof path !== 'string' || !isSafePath(path)) {
    throw new InputError(
      `${source} lists a file under the name ${JSON.stringify(path)}: refused, it could be written anywhere.`,
    );
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw new InputError(`${source} lists ${path} with the size ${JSON.stringify(size)}.`);
  }
  if (!isHex(blobId, 40) || (sha256 !== undefined && !isHex(sha256, 64))) {
    throw new InputError(`${source} lists ${path} without a checksum.`);
  }
  return {
    path,
    size,
    digest:
      sha256 === undefined ? { algorithm: 'git-sha1', hex: blobId } : { algorithm: 'sha256', hex: sha256 },
    blobId,
    xetHash: isHex(xetHash, 64) ? xetHash : undefined,
  };
}

function isHex<T>(value: T | string, length: number): value is string {
  return typeof value === 'string' && value.length === length && /^[0-9a-f]+$/.test(value);
}
