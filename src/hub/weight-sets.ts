/** Finding the sets of weights among a repository's paths, from the names alone. */

import { posix } from 'node:path';
import { folderOf, foldersAbove } from './repository-path.js';

/** Files that together hold all weights of one model. */
export interface Weights {
  /** The folder they lie in; empty for the root. */
  readonly folder: string;
  /** What to add to `hf:org/name/` to mean this set and no other. */
  readonly place: string;
  readonly files: readonly string[];
}

/** What a trainer leaves beside the weights. */
const NOT_WEIGHTS = /^(adapter_|optimizer|scheduler|rng_state|training_args)/;
/** Files whose folder is an Orbax checkpoint, in its old and its new layouts, with and without OCDBT. */
const ORBAX_MARK = /^(_METADATA|_CHECKPOINT_METADATA|checkpoint|manifest\.ocdbt|orbax\.checkpoint)$/;
/** What may lie beside an Orbax checkpoint and is no part of it. */
const NOT_ORBAX = /^(\.git.*|readme.*|licen[cs]e.*)$|\.(md|pdf|png|jpe?g|gguf|safetensors|bin|pth?)$/i;

/** All sets of weights, by kind. */
export function weightSets(
  paths: readonly string[],
): Record<'safetensors' | 'bin' | 'torch' | 'orbax', Weights[]> {
  const weights = paths.filter((path) => !NOT_WEIGHTS.test(posix.basename(path)));
  return {
    safetensors: inEachFolder(weights, 'model', 'safetensors'),
    bin: inEachFolder(
      weights.filter((path) => posix.basename(path).startsWith('pytorch_model')),
      'pytorch_model',
      'bin',
    ),
    torch: weights
      .filter((path) => /\.pth?$/.test(path))
      .map((path) => ({ folder: folderOf(path), place: path, files: [path] })),
    orbax: orbaxFolders(paths),
  };
}

function inEachFolder(paths: readonly string[], stem: string, extension: string): Weights[] {
  const folders = new Set(paths.filter((path) => path.endsWith(`.${extension}`)).map(folderOf));
  return [...folders].map((folder) => {
    const names = paths.filter((path) => folderOf(path) === folder).map((path) => posix.basename(path));
    const files = oneSet(names, stem, extension).map((name) => posix.join(folder, name));
    return { folder, place: folder, files };
  });
}

/**
 * A folder may hold the same weights several times over (whole, in shards, as a `fp16` variant): takes the shards that
 * an index goes with, else the file of the usual name, else all there are.
 */
function oneSet(names: readonly string[], stem: string, extension: string): string[] {
  const ending = `.${extension}.index.json`;
  const indices = names.filter((name) => name.endsWith(ending));
  const index = indices.find((name) => name === `${stem}${ending}`) ?? indices[0];
  if (index !== undefined) {
    const prefix = index.slice(0, -ending.length);
    const shards = names.filter((name) => name.startsWith(`${prefix}-`) && name.endsWith(`.${extension}`));
    if (shards.length > 0) return [index, ...shards];
  }
  const whole = `${stem}.${extension}`;
  return names.includes(whole) ? [whole] : names.filter((name) => name.endsWith(`.${extension}`));
}

function orbaxFolders(paths: readonly string[]): Weights[] {
  const marked = new Set(paths.filter((path) => ORBAX_MARK.test(posix.basename(path))).map(folderOf));
  // Parts of a checkpoint carry the marks too (`ocdbt.process_0/manifest.ocdbt`): the outermost folder is the checkpoint.
  const outermost = [...marked].filter((folder) => !foldersAbove(folder).some((above) => marked.has(above)));
  return outermost.map((folder) => ({
    folder,
    place: folder,
    files: paths.filter((path) => isBelow(path, folder) && !NOT_ORBAX.test(posix.basename(path))),
  }));
}

function isBelow(path: string, folder: string): boolean {
  return folder === '' || path.startsWith(`${folder}/`);
}
