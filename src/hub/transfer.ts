/** Bringing the files that the cache lacks into it, a few at a time, and showing them in the snapshot when all are there. */

import { join } from 'node:path';
import { formatBytes } from '../bytes.js';
import { InterruptedError } from '../errors.js';
import { sum } from '../sum.js';
import { downloadBlob } from './blob.js';
import { blobPath, isComplete, type RepositoryCache, showInSnapshot, snapshotFolder } from './cache.js';
import type { HubClient } from './client.js';
import { checkRoom } from './disk.js';
import type { HubFile } from './hub-file.js';
import { keptBytes } from './partial.js';

/** Files under way at once: Orbax checkpoints are many small ones, and four connections fill most lines. */
const CONCURRENT_FILES = 4;

/** How far a download has got; files of equal content count once. */
export interface DownloadProgress {
  /** The file that the latest bytes belong to. */
  readonly file: string;
  /** Bytes on disk of all chosen files, those of earlier runs included; it goes back where a server cannot resume. */
  readonly receivedBytes: number;
  readonly totalBytes: number;
  readonly filesDone: number;
  readonly files: number;
}

/** One commit's files, and the client to get them with. */
export interface Transfer {
  readonly client: HubClient;
  readonly cache: RepositoryCache;
  readonly commit: string;
  readonly files: readonly HubFile[];
  readonly onProgress: (progress: DownloadProgress) => void;
}

/**
 * Downloads what is missing, then makes the snapshot's links: until all is there, the snapshot shows nothing new.
 *
 * @param stop aborts the client's requests: the first file to fail ends the others, whose bytes are kept.
 * @throws what `downloadBlob` and `checkRoom` throw; InterruptedError saying what is kept.
 */
export async function transfer(
  { client, cache, commit, files, onProgress }: Transfer,
  stop: AbortController,
): Promise<void> {
  const contents = [...new Map(files.map((file) => [file.digest.hex, file])).values()];
  const missing = await withoutComplete(contents, cache, commit);
  const ledger = new Map(contents.map((file) => [file.digest.hex, missing.includes(file) ? 0 : file.size]));
  const totalBytes = sum(contents.map(({ size }) => size));
  let filesDone = contents.length - missing.length;
  const report = (file: HubFile, bytes: number) => {
    ledger.set(file.digest.hex, bytes);
    onProgress({
      file: file.path,
      receivedBytes: sum(ledger.values()),
      totalBytes,
      filesDone,
      files: contents.length,
    });
  };

  const kept = await Promise.all(missing.map((file) => keptBytes(blobPath(cache, file))));
  await checkRoom(cache.folder, sum(missing.map(({ size }, at) => Math.max(0, size - kept[at]!))));

  const queue = [...missing];
  const workers = Array.from({ length: CONCURRENT_FILES }, async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const current = file;
      await downloadBlob(client, commit, current, blobPath(cache, current), (bytes) =>
        report(current, bytes),
      );
      filesDone++;
      report(current, current.size);
    }
  });
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort();
    await Promise.allSettled(workers);
    throw error instanceof InterruptedError
      ? interrupted(client, cache, sum(ledger.values()), totalBytes)
      : error;
  }
  for (const file of files) await showInSnapshot(cache, commit, file);
}

/** A file may be complete as a blob, or in the snapshot alone, where Python's client could make no links. */
async function withoutComplete(
  files: readonly HubFile[],
  cache: RepositoryCache,
  commit: string,
): Promise<HubFile[]> {
  const checks = files.map(
    async (file) =>
      (await isComplete(join(snapshotFolder(cache, commit), file.path), file.size)) ||
      (await isComplete(blobPath(cache, file), file.size)),
  );
  const complete = await Promise.all(checks);
  return files.filter((_, at) => !complete[at]);
}

function interrupted(
  client: HubClient,
  cache: RepositoryCache,
  received: number,
  total: number,
): InterruptedError {
  return new InterruptedError(
    `Interrupted: ${formatBytes(received)} of the ${formatBytes(total)} of ${client.repository} are kept in ${cache.folder}.`,
    {
      hint: 'Run the same command again to go on from there.',
      details: { received, total, folder: cache.folder },
    },
  );
}
