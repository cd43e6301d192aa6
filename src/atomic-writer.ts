/** A file that appears whole or not at all: written beside its place under another name, then renamed. */

import { lstat, open, realpath, rename, rm } from 'node:fs/promises';
import { UsageError } from './errors.js';

/** A file under construction. End with commit or discard. */
export interface AtomicWriter {
  write(content: Uint8Array | string): Promise<void>;
  /** Waits until all is on the disk, and puts the file in its place, replacing what was there. */
  commit(): Promise<void>;
  /** Leaves what was there. */
  discard(): Promise<void>;
}

/**
 * Starts a file beside `path`, or beside the file that a symbolic link there names.
 * @throws UsageError where anything but a regular file is there: a rename would replace a device or a pipe instead of writing to it.
 */
export async function atomicWriter(path: string): Promise<AtomicWriter> {
  const place = await realpath(path).catch(() => path);
  const found = await lstat(place).catch(() => undefined);
  if (found && !found.isFile()) throw new UsageError(`${path} is not a regular file, and is not replaced.`);
  const partial = `${place}.${process.pid}.partial`;
  const file = await open(partial, 'wx');
  return {
    write: (content) => file.appendFile(content),
    commit: async () => {
      await file.sync();
      await file.close();
      await rename(partial, place);
    },
    discard: async () => {
      await file.close().catch(() => {});
      await rm(partial, { force: true });
    },
  };
}
