/** The thread behind {@link hashFiles}. */

import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { FileRecord } from '../manifest.js';

const buffer = new Uint8Array(4 << 20);

parentPort!.postMessage((workerData as string[]).map(hashFile));

function hashFile(path: string): FileRecord {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  let bytes = 0;
  try {
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) {
      hash.update(buffer.subarray(0, read));
      bytes += read;
    }
  } finally {
    closeSync(file);
  }
  return { bytes, sha256: hash.digest('hex') };
}
