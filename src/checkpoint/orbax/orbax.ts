/** Opens Orbax checkpoints, JAX's own format: OCDBT databases or folders of zarr arrays, and the MessagePack files before them. */

import { join, resolve } from 'node:path';
import { InputError } from '../../errors.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import type { Checkpoint } from '../checkpoint.js';
import { type ChunkedArray, zarrArray } from './chunked-array.js';
import { blame, INCOMPLETE_HINT } from './damage.js';
import { findCheckpoint } from './find-checkpoint.js';
import { openFolder } from './folder-store.js';
import { type MessagePackLeaf, readMessagePackLeaves } from './msgpack-leaves.js';
import { MANIFEST_NAME, openOcdbt } from './ocdbt.js';
import { readChunks } from './read-chunks.js';
import { fileSize, type KeyValueStore, readValue, type StoredValue } from './stored-value.js';
import { MAX_METADATA_BYTES, parseTreeMetadata, type TreeMetadata } from './tree.js';
import { parseHeader } from './zarr.js';

export { looksLikeOrbax } from './find-checkpoint.js';

/** Largest header of one array: shapes, codecs and attributes of a few hundred bytes. */
const MAX_HEADER_BYTES = 1024 * 1024;

/** Files with an array's header, and the zarr version that each means. */
const HEADERS = [
  { suffix: '/.zarray', version: 2 },
  { suffix: '/zarr.json', version: 3 },
] as const;

const NO_TREE: TreeMetadata = { leaves: [], storesEveryChunk: false };

/**
 * Opens the Orbax checkpoint that a path means: its folder, one above it (a step, an item, a download's variant), or a
 * MessagePack file. Only headers are read, and every data file is checked to be there and long enough.
 *
 * Tensors are named by their path in the tree joined by `.`; strings, None and unsigned counters are left out. Throws an
 * {@link InputError} where there is no checkpoint, or where it is unfinished, incomplete, damaged or of an unknown kind.
 */
export async function openOrbax(path: string): Promise<Checkpoint> {
  const place = await findCheckpoint(path);
  const { arrays, files } =
    place.kind === 'file' ? await openMessagePack(place.path) : await openItem(place.path);
  if (arrays.size === 0) throw new InputError(`The Orbax checkpoint "${place.path}" holds no arrays.`);
  const sorted = [...arrays].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    format: 'orbax',
    path,
    files: [...new Set(files.map((file) => resolve(file)))].sort(),
    tensors: new Map(sorted.map(([name, array]) => [name, lazyTensor(array)])),
    // No file stays open between reads.
    close: async () => {},
  };
}

interface Opened {
  readonly arrays: ReadonlyMap<string, ChunkedArray>;
  readonly files: readonly string[];
}

function lazyTensor(array: ChunkedArray): LazyTensor {
  return { dtype: array.dtype, shape: array.shape, read: () => readChunks(array) };
}

async function openMessagePack(file: string): Promise<Opened> {
  const arrays = new Map<string, ChunkedArray>();
  for (const leaf of await leavesOf(file)) {
    if ('array' in leaf) arrays.set(leaf.name, leaf.array);
    else throw missing(leaf.name, file);
  }
  return { arrays, files: [file] };
}

/** Opens the folder that holds the arrays of one item. */
async function openItem(folder: string): Promise<Opened> {
  const hasManifest = (await fileSize(join(folder, MANIFEST_NAME))) !== undefined;
  const store = hasManifest ? await openOcdbt(folder) : await openFolder(folder);
  if (!hasManifest && [...store.entries.keys()].some((key) => key.startsWith('ocdbt.process_'))) {
    throw new InputError(`"${folder}" is a save that never finished: it has no "${MANIFEST_NAME}".`, {
      hint: 'Give the folder of an earlier step, or fetch the checkpoint again.',
    });
  }
  const metadataFile = join(folder, '_METADATA');
  const tree = await readTree(metadataFile);
  const stored = await storedArrays(folder, store, tree);
  const arrays = new Map<string, ChunkedArray>(stored.arrays);
  const files = [...stored.files];
  if (tree !== NO_TREE) files.push(metadataFile);

  const messagePackFile = join(folder, 'checkpoint');
  if ((await fileSize(messagePackFile)) !== undefined) {
    files.push(messagePackFile);
    for (const leaf of await leavesOf(messagePackFile)) {
      const array = 'array' in leaf ? leaf.array : stored.arrays.get(leaf.storedAs);
      if (array === undefined && !stored.ignored.has(leaf.name)) throw missing(leaf.name, folder);
      if (array !== undefined) arrays.set(leaf.name, array);
    }
  }
  for (const { name, isArray } of tree.leaves) {
    if (isArray && !arrays.has(name) && !stored.ignored.has(name)) throw missing(name, folder);
  }
  return { arrays, files };
}

/** All arrays with a header in the store. */
async function storedArrays(
  folder: string,
  store: KeyValueStore,
  tree: TreeMetadata,
): Promise<Opened & { readonly ignored: ReadonlySet<string> }> {
  const arrays = new Map<string, ChunkedArray>();
  const ignored = new Set<string>();
  for (const [key, value] of store.entries) {
    const kind = HEADERS.find(({ suffix }) => key.endsWith(suffix));
    if (kind === undefined) continue;
    const name = key.slice(0, -kind.suffix.length);
    const header = await parsing(`The array "${name}" in "${folder}"`, { tensor: name }, async () =>
      parseHeader(await readText(value, MAX_HEADER_BYTES), kind.version),
    );
    if (header === 'ignored') ignored.add(name);
    else
      arrays.set(
        name,
        zarrArray(name, tree.storesEveryChunk ? { ...header, fill: undefined } : header, store),
      );
  }
  return { arrays, ignored, files: [...store.structureFiles, ...filesOf(arrays, store)] };
}

/** The files that hold the headers and chunks of arrays, and none of what else lies beside them. */
function filesOf(arrays: ReadonlyMap<string, unknown>, store: KeyValueStore): Set<string> {
  const files = new Set<string>();
  for (const [key, value] of store.entries) {
    if ('bytes' in value) continue;
    for (let end = key.indexOf('/'); end >= 0; end = key.indexOf('/', end + 1)) {
      if (arrays.has(key.slice(0, end))) files.add(value.file);
    }
  }
  return files;
}

async function readTree(file: string): Promise<TreeMetadata> {
  const length = await fileSize(file);
  if (length === undefined) return NO_TREE;
  return parsing(`"${file}"`, { file }, async () =>
    parseTreeMetadata(await readText({ file, offset: 0, length }, MAX_METADATA_BYTES)),
  );
}

async function leavesOf(file: string): Promise<MessagePackLeaf[]> {
  const length = (await fileSize(file)) ?? 0;
  return parsing(`"${file}"`, { file }, () => readMessagePackLeaves({ file, offset: 0, length }));
}

async function readText(value: StoredValue, limit: number): Promise<string> {
  return new TextDecoder().decode(await readValue(value, limit));
}

/** Names the subject in what a parser says of damaged bytes. */
async function parsing<T>(
  subject: string,
  details: Readonly<Record<string, unknown>>,
  parse: () => Promise<T>,
): Promise<T> {
  try {
    return await parse();
  } catch (error) {
    throw blame(error, subject, details);
  }
}

function missing(name: string, folder: string): InputError {
  return new InputError(`The array "${name}" is missing from "${folder}", although its tree names it.`, {
    hint: INCOMPLETE_HINT,
    details: { tensor: name, file: folder },
  });
}
