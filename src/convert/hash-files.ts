/** Hashes files in a thread of its own, while the main one converts. */

import { Worker } from 'node:worker_threads';
import { RecgemmaError } from '../errors.js';
import type { FileRecord } from '../manifest.js';

/** A hash computation under way. */
export interface Hashing {
  /** Size and sha256 of each file, in the order given. */
  readonly result: Promise<FileRecord[]>;
  /** Gives up. */
  stop(): Promise<void>;
}

/**
 * Starts hashing files; an abort of the signal stops it, and the result then rejects with the signal's reason.
 * @throws the signal's reason where it is aborted already.
 */
export function hashFiles(paths: readonly string[], signal?: AbortSignal): Hashing {
  signal?.throwIfAborted();
  const worker = new Worker(new URL('./hash-files-worker.js', import.meta.url), { workerData: paths });
  const stop = async () => {
    await worker.terminate();
  };
  signal?.addEventListener('abort', stop, { once: true });
  const result = new Promise<FileRecord[]>((resolve, reject) => {
    worker.on('message', resolve);
    worker.on('error', reject);
    worker.on('exit', () => {
      signal?.removeEventListener('abort', stop);
      reject(signal?.aborted ? signal.reason : new RecgemmaError('failed', 'hashing was stopped'));
    });
  });
  // Whoever stops it, or fails before, does not wait for the result any more.
  result.catch(() => {});
  return { result, stop };
}
