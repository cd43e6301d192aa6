/** A folder that appears whole or not at all: filled beside its place under another name, then renamed. */

import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { MANIFEST_FILE } from '../manifest.js';

/** A model folder to be. */
export class OutputFolder {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Checks that a model folder may be put at `path`.
   * @throws UsageError where something is there already: without `force` anything, with it anything but a model folder; or where no folder can be.
   */
  static async prepare(path: string, options: { force: boolean; dryRun: boolean }): Promise<OutputFolder> {
    const found = await stat(path).catch(() => undefined);
    if (found && !found.isDirectory()) throw new UsageError(`${path} is a file; --out must be a new folder.`);
    const names = found ? await readdir(path) : [];
    if (names.length > 0 && !options.force) {
      throw new UsageError(`${path} already exists.`, {
        hint: 'Choose another --out, or replace it with --force.',
      });
    }
    if (names.length > 0 && !names.includes(MANIFEST_FILE)) {
      throw new UsageError(`${path} is not a model folder; --force only replaces what recgemma made.`);
    }
    if (!options.dryRun) {
      await mkdir(dirname(resolve(path)), { recursive: true }).catch((cause: Error) => {
        throw new UsageError(`${path} cannot be made: ${cause.message}`, { cause });
      });
    }
    return new OutputFolder(resolve(path));
  }

  /** Lets `write` fill a folder beside the place, and puts it there; after any failure nothing of it is left. */
  async fill(write: (folder: string) => Promise<void>): Promise<void> {
    const partial = `${this.#path}.partial`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    try {
      await write(partial);
      await syncFolder(partial);
      await rm(this.#path, { recursive: true, force: true });
      await rename(partial, this.#path);
      await syncFolder(dirname(this.#path));
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
  }
}

/** Makes names in a folder durable, where the system can. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(join(path), 'r').catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}
