/** The thread behind {@link DataWriter}: writes and hashes slabs in the order in which they come. */

import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/** A slab to write and give back, or the end of the file. */
export type ToDataWriter = { readonly slab: ArrayBuffer; readonly bytes: number } | { readonly finish: true };

/** A slab given back, the finished file, or a sentence about what failed. */
export type FromDataWriter =
  | { readonly slab: ArrayBuffer }
  | { readonly bytes: number; readonly sha256: string }
  | { readonly failed: string };

const path = workerData as string;
const port = parentPort!;
const hash = createHash('sha256');
const file = openSync(path, 'wx');
let position = 0;

port.on('message', (message: ToDataWriter) => {
  try {
    if ('finish' in message) {
      fsyncSync(file);
      closeSync(file);
      reply({ bytes: position, sha256: hash.digest('hex') });
      return;
    }
    const bytes = new Uint8Array(message.slab, 0, message.bytes);
    hash.update(bytes);
    for (let at = 0; at < bytes.byteLength; ) at += writeSync(file, bytes, at, bytes.byteLength - at);
    position += bytes.byteLength;
    reply({ slab: message.slab }, [message.slab]);
  } catch (error) {
    reply({ failed: `cannot write ${path}: ${error instanceof Error ? error.message : error}` });
  }
});

function reply(message: FromDataWriter, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
