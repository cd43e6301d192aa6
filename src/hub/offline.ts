/** A checkpoint from the cache alone: nothing is asked, so the cache itself must show that it is complete. */

import { readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { InputError, UnavailableError } from '../errors.js';
import {
  cachedCommit,
  cachedTree,
  isComplete,
  type RepositoryCache,
  snapshotFolder,
  snapshotPaths,
} from './cache.js';
import { chooseFiles } from './choose.js';
import { formatHubReference, type HubReference } from './reference.js';

/** The index of a model of 100,000 tensors stays under this. */
const MAX_INDEX_BYTES = 32 * 2 ** 20;

/** A complete checkpoint in the cache. */
export interface CachedCheckpoint {
  readonly commit: string;
  /** Paths inside the repository. */
  readonly files: string[];
}

/**
 * Finds the checkpoint in the cache, by the revision's last known commit.
 *
 * @throws UnavailableError where it is not there, or only in part.
 */
export async function cachedCheckpoint(
  reference: HubReference,
  cache: RepositoryCache,
): Promise<CachedCheckpoint> {
  const commit = await cachedCommit(cache, reference.revision);
  if (commit === undefined) throw notCached(reference, cache);
  const tree = await cachedTree(cache, commit);
  const files = tree
    ? chooseFiles(
        tree.map(({ path }) => path),
        reference,
      )
    : chooseCached(await snapshotPaths(cache, commit), reference, cache);

  const sizes = new Map(tree?.map(({ path, size }) => [path, size]));
  const folder = snapshotFolder(cache, commit);
  const expected = tree ? files : [...files, ...(await shardsOfIndices(folder, files))];
  for (const path of new Set(expected)) {
    const size = sizes.get(path);
    const here =
      size === undefined ? await exists(join(folder, path)) : await isComplete(join(folder, path), size);
    if (!here) throw partlyCached(reference, path);
  }
  return { commit, files };
}

/** What an empty or foreign snapshot lacks is not the repository's fault, as `chooseFiles` would have it. */
function chooseCached(paths: readonly string[], reference: HubReference, cache: RepositoryCache): string[] {
  try {
    return chooseFiles(paths, reference);
  } catch (error) {
    if (error instanceof InputError && !error.details) throw notCached(reference, cache);
    throw error;
  }
}

/** Without a list of files, an index is what tells how many shards there should be. */
async function shardsOfIndices(folder: string, files: readonly string[]): Promise<string[]> {
  const indices = files.filter((path) => path.endsWith('.index.json'));
  const shards = indices.map(async (path) => {
    const file = join(folder, path);
    if ((await stat(file)).size > MAX_INDEX_BYTES) throw new InputError(`${file} is too large for an index.`);
    const names = shardNames(await readFile(file, 'utf8'));
    return names.map((name) => posix.join(posix.dirname(path), name));
  });
  return (await Promise.all(shards)).flat();
}

/** The file names in an index's `weight_map`; none where it is no such index (its reader will say so). */
function shardNames(text: string): string[] {
  try {
    const { weight_map: map }: { weight_map?: Record<string, unknown> } = JSON.parse(text);
    return Object.values(map ?? {}).filter((name) => typeof name === 'string');
  } catch {
    return [];
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function notCached(reference: HubReference, cache: RepositoryCache): UnavailableError {
  return new UnavailableError(
    `${formatHubReference(reference)} is not in the cache (${cache.folder}), and this run is offline.`,
    {
      hint: 'Run it once with the network: without --offline, and with HF_HUB_OFFLINE unset.',
    },
  );
}

function partlyCached(reference: HubReference, path: string): UnavailableError {
  return new UnavailableError(
    `Of ${formatHubReference(reference)} the cache holds only a part: ${path} is missing.`,
    {
      hint: 'Run it once with the network, to complete it.',
      details: { missing: path },
    },
  );
}
