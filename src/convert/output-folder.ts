/** A folder that appears whole or not at all: filled beside its place under another name, then renamed. */

import { lstat, mkdir, open, readdir, realpath, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { UnavailableError, UsageError } from '../errors.js';
import { MANIFEST_FILE } from '../manifest.js';
import { readJsonFile } from './json-file.js';

/** Names that a message lists of those that are in the way. */
const MAX_NAMED = 5;

/** System errors that say that a path is at fault, and not the machine. */
const PATH_FAULTS: readonly unknown[] = ['ENOTDIR', 'ENAMETOOLONG', 'ELOOP'];

/** What may be done to the place of a model folder. */
export interface PlaceOptions {
  /** Replace the model folder that is there. */
  readonly force: boolean;
  /** Files and folders that the model is made from, which must not go with the old one. */
  readonly sources: readonly string[];
}

/** A model folder to be. */
export class OutputFolder {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Checks that a model folder may be put at `path`, or where a symbolic link there points; changes nothing.
   * @throws UsageError where something is there already: without `force` anything, with it anything but what recgemma wrote; or where
   * no folder can be.
   */
  static async prepare(path: string, { force, sources }: PlaceOptions): Promise<OutputFolder> {
    const place = await realpath(path).catch(() => resolve(path));
    const found = await lstat(place).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw PATH_FAULTS.includes(error.code)
        ? new UsageError(`${path} cannot be made: ${error.message}`, { cause: error })
        : error;
    });
    if (found && !found.isDirectory()) throw new UsageError(`${path} is a file; --out must be a new folder.`);
    const names = found ? await readdir(place) : [];
    if (names.length > 0) {
      if (!force) {
        throw new UsageError(`${path} already exists.`, {
          hint: 'Choose another --out, or replace it with --force.',
        });
      }
      await requireOnlyModel(path, names);
      await requireApart(path, sources);
    }
    return new OutputFolder(place);
  }

  /**
   * Lets `write` fill a folder beside the place, and puts it there; after any failure nothing of it is left, and what was there is.
   * @throws the signal's reason when aborted before the folder is in its place, and whatever `write` throws.
   */
  async fill(write: (folder: string) => Promise<void>, signal?: AbortSignal): Promise<void> {
    const partial = `${this.#path}.partial`;
    const parents = await missingParents(this.#path);
    try {
      await mkdir(dirname(partial), { recursive: true });
      await rm(partial, { recursive: true, force: true });
      await mkdir(partial);
      await write(partial);
      await syncFolder(partial);
      signal?.throwIfAborted();
      await replace(this.#path, partial);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      for (const parent of parents) await rmdir(parent).catch(() => {});
      throw error;
    }
  }
}

/** Throws unless all that a folder holds is named by its manifest: the rest is somebody's own. */
async function requireOnlyModel(path: string, names: readonly string[]): Promise<void> {
  if (!names.includes(MANIFEST_FILE)) {
    throw new UsageError(`${path} is not a model folder; --force only replaces what recgemma made.`);
  }
  const manifest = await readJsonFile(join(path, MANIFEST_FILE)).catch(() => undefined);
  const known = [MANIFEST_FILE, ...Object.keys(manifest?.json.files ?? {})];
  const others = names.filter((name) => !known.includes(name));
  if (others.length === 0) return;
  const rest = others.length > MAX_NAMED ? ` and ${others.length - MAX_NAMED} more` : '';
  throw new UsageError(
    `${path} also holds what recgemma did not make: ${others.slice(0, MAX_NAMED).join(', ')}${rest}.`,
    { hint: 'Move that away, or choose another --out.', details: { names: others } },
  );
}

/** Throws where one of `sources` would be deleted with the folder. */
async function requireApart(path: string, sources: readonly string[]): Promise<void> {
  const place = await realpath(path);
  for (const source of sources) {
    const below = relative(place, await realpath(source));
    if (below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below)) continue;
    throw new UsageError(`${source} lies in ${path}, which --force would replace.`, {
      hint: 'Choose another --out.',
    });
  }
}

/** The folders above `path` that are not there yet, the innermost first. */
async function missingParents(path: string): Promise<string[]> {
  const parent = dirname(path);
  const found = await lstat(parent).catch(() => undefined);
  return found || parent === path ? [] : [parent, ...(await missingParents(parent))];
}

/** Puts a finished folder in the place of one that may be there; the old one is deleted only when the new one is in its place. */
async function replace(path: string, finished: string): Promise<void> {
  const old = await unusedName(`${path}.old`);
  const replaces = (await lstat(path).catch(() => undefined)) !== undefined;
  if (replaces) await rename(path, old);
  try {
    await rename(finished, path);
  } catch (error) {
    if (replaces) await rename(old, path);
    throw error;
  }
  await syncFolder(dirname(path));
  await rm(old, { recursive: true, force: true }).catch((cause: Error) => {
    throw new UnavailableError(`${path} is written, but the old one is left as ${old}: ${cause.message}`, {
      cause,
    });
  });
}

async function unusedName(name: string): Promise<string> {
  for (let i = 1; ; i++) {
    const candidate = i === 1 ? name : `${name}-${i}`;
    if (!(await lstat(candidate).catch(() => undefined))) return candidate;
  }
}

/** Makes names in a folder durable, where the system can. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}
