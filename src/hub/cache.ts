/**
 * The cache folder, laid out as Python's huggingface_hub lays it out, so that each finds what the other downloaded:
 * `models--org--name/blobs/<digest>`, `snapshots/<commit>/<path>` as relative links into it, `refs/<revision>` holding
 * a commit, `trees/<commit>.json` holding the commit's list of files (format_version 1, huggingface_hub's _tree_cache.py).
 */

import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { checkedFile, type HubFile, isCommit } from './hub-file.js';

/** The listing of 100,000 files stays under this; whatever is longer is not a listing of ours. */
const MAX_TREE_BYTES = 64 * 2 ** 20;

/** The folder of one repository in the cache. */
export interface RepositoryCache {
  readonly folder: string;
  readonly blobs: string;
}

/** Where the cache keeps a repository; nothing is made yet. */
export function repositoryCache(cacheDir: string, repository: string): RepositoryCache {
  const folder = join(cacheDir, `models--${repository.replace('/', '--')}`);
  return { folder, blobs: join(folder, 'blobs') };
}

/** Where a file's content lies once it is complete and checked. */
export function blobPath(cache: RepositoryCache, file: HubFile): string {
  return join(cache.blobs, file.digest.hex);
}

/** The folder that shows the repository's files under their names. */
export function snapshotFolder(cache: RepositoryCache, commit: string): string {
  return join(cache.folder, 'snapshots', commit);
}

/** Whether `path` (a blob, or a name in a snapshot) is there with all its bytes. */
export async function isComplete(path: string, size: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() === true && found.size === size;
}

/** The commit that the cache knows a revision by, without asking anyone. */
export async function cachedCommit(cache: RepositoryCache, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  const text = await readFile(join(cache.folder, 'refs', revision), 'utf8').catch(() => '');
  return isCommit(text.trim()) ? text.trim() : undefined;
}

/** Remembers which commit a branch or tag named. */
export async function writeRef(cache: RepositoryCache, revision: string, commit: string): Promise<void> {
  if (isCommit(revision) || (await cachedCommit(cache, revision)) === commit) return;
  await replaceFile(join(cache.folder, 'refs', revision), commit);
}

/** The commit's list of files as cached; undefined where there is none that can be used, for then it can be asked for again. */
export async function cachedTree(cache: RepositoryCache, commit: string): Promise<HubFile[] | undefined> {
  const path = treePath(cache, commit);
  try {
    if ((await stat(path)).size > MAX_TREE_BYTES) return undefined;
    const tree: { format_version?: unknown; files?: Record<string, Record<string, unknown>> } = JSON.parse(
      await readFile(path, 'utf8'),
    );
    if (tree.format_version !== 1 || !tree.files) return undefined;
    return Object.entries(tree.files).map(([name, { size, blob_id, lfs_sha256, xet_hash }]) =>
      checkedFile({ path: name, size, blobId: blob_id, sha256: lfs_sha256, xetHash: xet_hash }, path),
    );
  } catch {
    return undefined;
  }
}

/** Keeps the commit's list of files, sorted by path: a commit never changes, so it need not be asked for again. */
export async function writeTree(
  cache: RepositoryCache,
  commit: string,
  files: readonly HubFile[],
): Promise<void> {
  const entries = files.map(({ path, size, blobId, digest, xetHash }) => {
    const lfs = digest.algorithm === 'sha256' ? { lfs_sha256: digest.hex, lfs_size: size } : {};
    return [
      path,
      { size, blob_id: blobId, ...lfs, ...(xetHash === undefined ? {} : { xet_hash: xetHash }) },
    ] as const;
  });
  const tree = { format_version: 1, files: Object.fromEntries(entries) };
  await replaceFile(treePath(cache, commit), JSON.stringify(tree, undefined, 1));
}

/** The paths of a snapshot that has no list of files: what an older Python client left. */
export async function snapshotPaths(cache: RepositoryCache, commit: string): Promise<string[]> {
  const folder = snapshotFolder(cache, commit);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) =>
      relative(folder, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join('/'),
    );
}

/**
 * Shows a blob under its name in the snapshot: a relative link, or a copy where the system makes no links.
 *
 * @param makeLink `fs.symlink`, or what stands for it in a test.
 */
export async function showInSnapshot(
  cache: RepositoryCache,
  commit: string,
  file: HubFile,
  makeLink: (target: string, path: string) => Promise<void> = symlink,
): Promise<void> {
  const blob = blobPath(cache, file);
  const path = join(snapshotFolder(cache, commit), ...file.path.split('/'));
  if (await isComplete(path, file.size)) return;
  await mkdir(dirname(path), { recursive: true });
  const fresh = beside(path);
  try {
    // A system without links for this user (Windows) answers EPERM, a file system without them ENOTSUP or EINVAL.
    await makeLink(relative(dirname(path), blob), fresh).catch(() =>
      copyFile(blob, fresh, constants.COPYFILE_FICLONE),
    );
    await rename(fresh, path);
  } finally {
    await rm(fresh, { force: true });
  }
}

function treePath(cache: RepositoryCache, commit: string): string {
  return join(cache.folder, 'trees', `${commit}.json`);
}

/** Another process may read or write the same file: it sees the old content or the new, never half of it. */
async function replaceFile(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const fresh = beside(path);
  try {
    await writeFile(fresh, content);
    await rename(fresh, path);
  } finally {
    await rm(fresh, { force: true });
  }
}

function beside(path: string): string {
  return `${path}.${randomBytes(4).toString('hex')}.tmp`;
}
