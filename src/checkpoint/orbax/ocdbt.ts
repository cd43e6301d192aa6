/** Opens an OCDBT database: walks its tree once and knows afterwards where the value of every key lies. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../errors.js';
import type { ByteCursor } from './byte-cursor.js';
import { blame, Damage, INCOMPLETE_HINT } from './damage.js';
import {
  MANIFEST_MAGIC,
  MAX_NODE_BYTES,
  NODE_MAGIC,
  openEnvelope,
  type Reference,
  readManifest,
  readNode,
} from './ocdbt-format.js';
import { refuseEscape, text } from './ocdbt-names.js';
import {
  type FileRange,
  fileSize,
  type KeyValueStore,
  reading,
  readValue,
  type StoredValue,
} from './stored-value.js';

/** Name of the manifest in a database's folder. */
export const MANIFEST_NAME = 'manifest.ocdbt';

/** Keys in one database: a 9B checkpoint that 256 processes saved has some 150,000. */
const MAX_KEYS = 2 ** 20;

/** All nodes of one tree together: a bound on time and memory; real trees have well under 1 MB. */
const MAX_TREE_BYTES = 256 * 1024 * 1024;

/** Total length of all keys: a bound on memory. */
const MAX_KEY_BYTES = 128 * 1024 * 1024;

/** Numbered manifests: 16 lower-case hexadecimal digits, so that the newest sorts last. */
const NUMBERED_MANIFEST = /^manifest\.[0-9a-f]{16}$/;

/** The walk over a tree, as far as it has come. */
interface Walk {
  readonly folder: string;
  readonly entries: Map<string, StoredValue>;
  /** Each file that holds a node or a value, and how far it must reach for all that is said to be in it. */
  readonly files: Map<string, { end: number; neededBy: string }>;
  readonly nodeFiles: Set<string>;
  treeBytes: number;
  keyBytes: number;
  lastKey: Uint8Array | undefined;
}

/**
 * Opens the database in `folder`. Throws an {@link InputError} where the manifest, a node or a data file is missing,
 * too short or damaged.
 */
export async function openOcdbt(folder: string): Promise<KeyValueStore> {
  const manifests = [join(folder, MANIFEST_NAME)];
  let manifest = await readStructure(await wholeFile(manifests[0]!), MANIFEST_MAGIC, readManifest);
  if (manifest.kind === 'numbered') {
    manifests.push(join(folder, await newestManifest(folder)));
    manifest = await readStructure(await wholeFile(manifests[1]!), MANIFEST_MAGIC, readManifest);
    if (manifest.kind === 'numbered') {
      throw new InputError(`The manifest "${manifests[1]}" only points to other manifests.`);
    }
  }
  const walk: Walk = {
    folder,
    entries: new Map(),
    files: new Map(),
    nodeFiles: new Set(),
    treeBytes: 0,
    keyBytes: 0,
    lastKey: undefined,
  };
  if (manifest.root !== undefined) {
    await walkTree(walk, manifest.root, manifest.height, new Uint8Array(0));
  }
  await checkFiles(walk);
  return { entries: walk.entries, structureFiles: [...manifests, ...walk.nodeFiles] };
}

/** Visits a node and all below it, in the order of keys. `prefix` is what the keys in it leave out. */
async function walkTree(walk: Walk, reference: Reference, height: number, prefix: Uint8Array): Promise<void> {
  const range = need(walk, reference, 'its tree');
  await requireRange(range);
  walk.nodeFiles.add(range.file);
  walk.treeBytes += range.length;
  const node = await readStructure(range, NODE_MAGIC, (body) => {
    walk.treeBytes += body.left;
    if (walk.treeBytes > MAX_TREE_BYTES) throw new Damage('the tree that it belongs to is absurdly large');
    const read = readNode(body, reference.file.base);
    if (read.height !== height) {
      throw new Damage(`it has height ${read.height} where the tree needs a node of height ${height}`);
    }
    if (!('leaves' in read)) return read;
    for (const { key, value } of read.leaves) addEntry(walk, Buffer.concat([prefix, key]), value);
    return read;
  });
  if ('leaves' in node) return;
  for (const child of node.children) {
    await walkTree(walk, child.node, height - 1, Buffer.concat([prefix, child.prefix]));
  }
}

function addEntry(walk: Walk, key: Uint8Array, value: Uint8Array | Reference): void {
  // Strictly rising keys also rule out trees that lead to one node many times over.
  if (walk.lastKey !== undefined && Buffer.compare(walk.lastKey, key) >= 0) {
    throw new Damage('its keys are not in order');
  }
  walk.lastKey = key;
  walk.keyBytes += key.length;
  if (walk.entries.size === MAX_KEYS || walk.keyBytes > MAX_KEY_BYTES) {
    throw new Damage(`its database has more keys than the ${MAX_KEYS} that make sense in a checkpoint`);
  }
  const name = text(key);
  refuseEscape(name);
  walk.entries.set(name, value instanceof Uint8Array ? { bytes: value } : need(walk, value, `"${name}"`));
}

/** The file range of a reference, noted for {@link checkFiles}. */
function need(walk: Walk, reference: Reference, neededBy: string): FileRange {
  const range = {
    file: join(walk.folder, reference.file.path),
    offset: reference.offset,
    length: reference.length,
  };
  const end = range.offset + range.length;
  const file = walk.files.get(range.file);
  if (file === undefined) walk.files.set(range.file, { end, neededBy });
  else if (end > file.end) Object.assign(file, { end, neededBy });
  return range;
}

/** Finds missing and cut off data files when the checkpoint is opened, not after an hour of conversion. */
async function checkFiles(walk: Walk): Promise<void> {
  for (const [file, { end, neededBy }] of walk.files) {
    await requireRange({ file, offset: 0, length: end }, neededBy);
  }
}

async function requireRange(range: FileRange, neededBy = 'the tree'): Promise<void> {
  const size = await fileSize(range.file);
  const details = { file: range.file, neededBy };
  if (size === undefined) {
    throw new InputError(`The data file "${range.file}", which ${neededBy} needs, is missing.`, {
      hint: INCOMPLETE_HINT,
      details,
    });
  }
  const end = range.offset + range.length;
  if (size < end) {
    throw new InputError(
      `The data file "${range.file}" has ${size} bytes, but ${neededBy} needs it to have at least ${end}.`,
      { hint: INCOMPLETE_HINT, details },
    );
  }
}

async function readStructure<T>(range: FileRange, magic: number, parse: (body: ByteCursor) => T): Promise<T> {
  try {
    return parse(await openEnvelope(await readValue(range, MAX_NODE_BYTES), magic));
  } catch (error) {
    const what = magic === MANIFEST_MAGIC ? 'manifest' : `tree node at byte ${range.offset} of`;
    throw blame(error, `The OCDBT ${what} "${range.file}"`, { file: range.file, offset: range.offset });
  }
}

async function wholeFile(file: string): Promise<FileRange> {
  const length = await fileSize(file);
  if (length === undefined) throw new InputError(`The file "${file}" is missing.`, { hint: INCOMPLETE_HINT });
  return { file, offset: 0, length };
}

async function newestManifest(folder: string): Promise<string> {
  const names = (await reading(folder, () => readdir(folder)))
    .filter((name) => NUMBERED_MANIFEST.test(name))
    .sort();
  const newest = names.at(-1);
  if (newest === undefined) {
    throw new InputError(`"${folder}" says that its OCDBT manifests are numbered, but there is none.`, {
      hint: INCOMPLETE_HINT,
    });
  }
  return newest;
}
