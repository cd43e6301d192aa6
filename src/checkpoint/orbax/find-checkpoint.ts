/** Finds the folder that holds an Orbax checkpoint's arrays: people name a folder above it, and Orbax itself adds up to two. */

import { createReadStream, type Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InputError } from '../../errors.js';
import { MANIFEST_NAME } from './ocdbt.js';
import { fileSize } from './stored-value.js';

/** Where a checkpoint was found: a folder of arrays, or one MessagePack file with everything inside. */
export type CheckpointPlace =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string };

/** Names that CheckpointManager and the orbax v1 API give the item in a step's folder, weights before training states. */
const ITEM_NAMES = ['default', 'params', 'state', 'items', 'pytree', 'model'];

/** A step's folder or file: `3`, or with a prefix as in `checkpoint_3`. */
const STEP = /^(?:[A-Za-z]+[_-])?(\d{1,15})$/;

/** What Orbax calls a folder that it is still writing. */
const UNFINISHED = '.orbax-checkpoint-tmp';

/** Folders below the given one: Kaggle's `2b-it/1/2b-it`, or a step and an item, and one to spare. */
const MAX_LEVELS = 4;

/** Sub-folders of any name that a checkpoint is looked for in; where there are more, somebody named a disk. */
const MAX_GUESSES = 256;

/** Sub-folders looked at to tell a folder of zarr arrays, nearly all of which are arrays. */
const MAX_PEEKS = 32;

/** True where {@link findCheckpoint} finds one or several, told by what is in the files. */
export async function looksLikeOrbax(path: string): Promise<boolean> {
  return (await search(path, MAX_LEVELS, true)).length > 0;
}

/** Finds the checkpoint meant by a path. Throws an {@link InputError} where there is none, or no telling which. */
export async function findCheckpoint(path: string): Promise<CheckpointPlace> {
  if (basename(path).includes(UNFINISHED)) {
    throw new InputError(`"${path}" is a save that Orbax never finished.`, {
      hint: 'Give the folder of an earlier step.',
    });
  }
  const places = await search(path, MAX_LEVELS, true);
  const [place] = places;
  if (place === undefined) {
    throw new InputError(`There is no Orbax checkpoint at "${path}".`, {
      hint: `Give the folder with "_METADATA", "${MANIFEST_NAME}" or "checkpoint" in it.`,
    });
  }
  if (places.length > 1) {
    const found = places.slice(0, 8).map((each) => `"${each.path}"`);
    throw new InputError(`"${path}" holds ${places.length} Orbax checkpoints: ${found.join(', ')}.`, {
      hint: 'Give the one that you mean.',
      details: { found },
    });
  }
  return place;
}

/** The checkpoints that a path may mean. `mayGuess` allows one sub-folder of any name. */
async function search(path: string, levels: number, mayGuess: boolean): Promise<CheckpointPlace[]> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile()) return (await isMessagePackTree(path)) ? [{ kind: 'file', path }] : [];
  if (!found?.isDirectory()) return [];
  const children = await readdir(path, { withFileTypes: true }).catch((): Dirent[] => []);
  if (await holdsArrays(path, children)) return [{ kind: 'folder', path }];
  if (levels === 0) return [];

  const names = children.map((child) => child.name).filter((name) => !name.includes(UNFINISHED));
  const steps = names.filter((name) => STEP.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
  for (const name of [...ITEM_NAMES.filter((item) => names.includes(item)), ...steps]) {
    const places = await search(join(path, name), levels - 1, mayGuess);
    if (places.length > 0) return places;
  }
  if (!mayGuess) return [];
  const folders = children.filter((child) => child.isDirectory() && !child.name.includes(UNFINISHED));
  if (folders.length > MAX_GUESSES) return [];
  const places: CheckpointPlace[] = [];
  for (const { name } of folders.filter((folder) => !steps.includes(folder.name))) {
    places.push(...(await search(join(path, name), levels - 1, false)));
  }
  return places;
}

function stepOf(name: string): number {
  return Number(STEP.exec(name)?.[1]);
}

async function holdsArrays(folder: string, children: readonly Dirent[]): Promise<boolean> {
  for (const { name } of children) {
    if (name === MANIFEST_NAME || name === '_METADATA' || name.startsWith('ocdbt.process_')) return true;
    if (name === 'checkpoint' && (await isMessagePackTree(join(folder, name)))) return true;
  }
  const folders = children.filter((child) => child.isDirectory()).slice(0, MAX_PEEKS);
  for (const { name } of folders) {
    for (const header of ['.zarray', 'zarr.json']) {
      if ((await fileSize(join(folder, name, header))) !== undefined) return true;
    }
  }
  return false;
}

/** True for a file that begins with a MessagePack map whose first key is printable text. */
async function isMessagePackTree(file: string): Promise<boolean> {
  if ((await fileSize(file)) === undefined) return false;
  let head = new Uint8Array(0);
  try {
    for await (const piece of createReadStream(file, { end: 63 })) head = new Uint8Array(piece as Uint8Array);
  } catch {
    return false;
  }
  const [type = 0] = head;
  const keyAt = type > 0x80 && type < 0x90 ? 1 : type === 0xde ? 3 : type === 0xdf ? 5 : 0;
  const keyType = head[keyAt] ?? 0;
  if (keyAt === 0) return false;
  const short = keyType > 0xa0 && keyType < 0xc0;
  if (!short && keyType !== 0xd9) return false;
  const length = short ? keyType & 0x1f : (head[keyAt + 1] ?? 0);
  const key = head.subarray(keyAt + (short ? 1 : 2)).subarray(0, length);
  return key.length > 0 && key.every((byte) => byte >= 0x20 && byte !== 0x7f);
}
