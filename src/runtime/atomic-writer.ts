/** A text file that appears whole or not at all. */

import { open, rename, rm } from 'node:fs/promises';

/** A file under construction. End with commit or discard. */
export interface AtomicWriter {
  write(text: string): Promise<void>;
  /** Puts the file in its place, replacing what was there. */
  commit(): Promise<void>;
  /** Leaves what was there. */
  discard(): Promise<void>;
}

/** Starts a file beside `path`. */
export async function atomicWriter(path: string): Promise<AtomicWriter> {
  const partial = `${path}.${process.pid}.partial`;
  const file = await open(partial, 'wx');
  return {
    write: async (text) => {
      await file.write(text);
    },
    commit: async () => {
      await file.sync();
      await file.close();
      await rename(partial, path);
    },
    discard: async () => {
      await file.close().catch(() => {});
      await rm(partial, { force: true });
    },
  };
}
