/** Downloading a checkpoint from a Hugging Face hub into the cache that Python's huggingface_hub uses too. */

import { join } from 'node:path';
import { UnavailableError } from '../errors.js';
import {
  cachedTree,
  type RepositoryCache,
  repositoryCache,
  snapshotFolder,
  writeRef,
  writeTree,
} from './cache.js';
import { chooseFiles } from './choose.js';
import type { HubClient } from './client.js';
import { diskFailure } from './disk.js';
import { type HubFile, isCommit } from './hub-file.js';
import { listRepository, resolveCommit } from './listing.js';
import { type CachedCheckpoint, cachedCheckpoint } from './offline.js';
import type { HubReference } from './reference.js';
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from './retries.js';
import { hubSettings } from './settings.js';
import { type DownloadProgress, transfer } from './transfer.js';

/** What a caller may set; each left out falls back to the environment (see `hubSettings`). */
export interface DownloadOptions {
  /** Use what the cache holds, and ask nobody. */
  readonly offline?: boolean | undefined;
  readonly token?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly cacheDir?: string | undefined;
  /** Called for each piece that comes, hundreds of times a second: throttle where it is drawn. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Ends the download; what has come is kept. */
  readonly signal?: AbortSignal | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
}

/** A checkpoint on this machine. */
export interface DownloadedCheckpoint {
  /** Absolute path of the snapshot folder, or of the folder or file in it that the reference names. */
  readonly path: string;
  /** The full commit id. */
  readonly commit: string;
  /** The chosen files, as paths inside the repository. */
  readonly files: string[];
}

/**
 * Brings the checkpoint that `reference` names into the cache, and says where it lies. What is there already is not
 * downloaded again: a complete one costs one request, or none where the revision is a full commit.
 *
 * @throws UnavailableError (network, licence, disk, offline), InputError (no usable weights, or other content than
 * listed), InterruptedError.
 */
export async function downloadCheckpoint(
  reference: HubReference,
  options: DownloadOptions = {},
): Promise<DownloadedCheckpoint> {
  const settings = await hubSettings(options, options.env ?? process.env);
  const cache = repositoryCache(settings.cacheDir, reference.repository);
  if (settings.offline) return located(reference, cache, await cachedCheckpoint(reference, cache));

  const stop = new AbortController();
  const abort = () => stop.abort();
  if (options.signal?.aborted) abort();
  options.signal?.addEventListener('abort', abort);
  const { repository, revision } = reference;
  const { endpoint, token } = settings;
  const retry = { ...DEFAULT_RETRY_POLICY, ...options.retry };
  const client: HubClient = { endpoint, repository, revision, token, signal: stop.signal, retry };
  try {
    const commit = await currentCommit(client, reference, cache);
    const tree = await treeOf(client, cache, commit);
    const files = chooseFiles([...tree.keys()], reference);
    const chosen = files.map((path) => tree.get(path)!);
    const onProgress = options.onProgress ?? (() => {});
    await transfer({ client, cache, commit, files: chosen, onProgress }, stop);
    await writeRef(cache, revision, commit);
    return located(reference, cache, { commit, files });
  } catch (error) {
    throw diskFailure(error, settings.cacheDir);
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

/** The commit to get. Out of reach of the hub, the error tells of a copy that is here, and does not use it unasked. */
async function currentCommit(
  client: HubClient,
  reference: HubReference,
  cache: RepositoryCache,
): Promise<string> {
  if (isCommit(reference.revision)) return reference.revision;
  try {
    return await resolveCommit(client);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const copy = await cachedCheckpoint(reference, cache).catch(() => undefined);
    if (!copy) throw error;
    throw new UnavailableError(error.message, {
      hint: `The cache holds commit ${copy.commit}, complete: --offline uses it.`,
      cause: error,
    });
  }
}

/** The commit's files by path: from the cache where it has the list, else from the hub. */
async function treeOf(
  client: HubClient,
  cache: RepositoryCache,
  commit: string,
): Promise<Map<string, HubFile>> {
  let files = await cachedTree(cache, commit);
  if (!files) {
    files = await listRepository(client, commit);
    await writeTree(cache, commit, files);
  }
  return new Map(files.map((file) => [file.path, file]));
}

function located(
  reference: HubReference,
  cache: RepositoryCache,
  checkpoint: CachedCheckpoint,
): DownloadedCheckpoint {
  const path = join(snapshotFolder(cache, checkpoint.commit), ...reference.path.split('/'));
  return { path, ...checkpoint };
}
