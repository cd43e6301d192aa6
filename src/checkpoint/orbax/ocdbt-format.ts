/**
 * The on-disk structures of OCDBT, TensorStore's key-value database, which Orbax writes by default.
 * Source: TensorStore's own description (tensorstore/kvstore/ocdbt/format) and the files that versions 0.1.45 to 0.1.86 write.
 */

import { ByteCursor, MISSING } from './byte-cursor.js';
import { decodeWhole } from './codecs.js';
import { crc32c } from './crc32c.js';
import { Damage } from './damage.js';
import { type DataFile, readDataFileTable, readSharedPrefixStrings } from './ocdbt-names.js';

/** First bytes of a manifest. */
export const MANIFEST_MAGIC = 0x0cdb3a2a;
/** First bytes of a B+tree node. */
export const NODE_MAGIC = 0x0cdb20de;

/** Largest manifest or node, stored or decompressed. Orbax caps decoded nodes at 100 MB; real ones have some 100 kB. */
export const MAX_NODE_BYTES = 128 * 1024 * 1024;

/** TensorStore's own limits on a node's entries, and on a key's length. */
const MAX_NODE_ENTRIES = 2 ** 20;
const MAX_KEY_BYTES = 65_535;

/** Total length of one node's keys once their shared prefixes are written out: a bound on memory, far above real nodes. */
const MAX_NODE_KEY_BYTES = 32 * 1024 * 1024;

/** The last inline version of a manifest is the newest state; the manifest itself says how many there may be, up to 2^16. */
const MAX_ARITY_LOG2 = 16;

/** A range of one of the files that a node's or manifest's table names. */
export interface Reference {
  readonly file: DataFile;
  readonly offset: number;
  readonly length: number;
}

/** A manifest: either the newest root of the tree (undefined: an empty database), or the word that manifests are numbered. */
export type Manifest =
  | { readonly kind: 'single'; readonly root: Reference | undefined; readonly height: number }
  | { readonly kind: 'numbered' };

/** A leaf entry: a key relative to its node, and its value, inline or elsewhere. */
export interface LeafEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array | Reference;
}

/** An interior entry: the child, and the part of every key in it that is not repeated there. */
export interface ChildEntry {
  readonly prefix: Uint8Array;
  readonly node: Reference;
}

/** A B+tree node: leaves have height 0, and children are one lower than their parent. */
export type Node =
  | { readonly height: 0; readonly leaves: readonly LeafEntry[] }
  | { readonly height: number; readonly children: readonly ChildEntry[] };

/** Checks the envelope (magic, length, CRC-32C) that all OCDBT structures share, and gives the decompressed body. */
export async function openEnvelope(bytes: Uint8Array, magic: number): Promise<ByteCursor> {
  const cursor = new ByteCursor(bytes);
  if (cursor.uint32BigEndian() !== magic) throw new Damage('its first bytes are not those of OCDBT');
  const length = cursor.uint64();
  if (length > bytes.length) {
    throw new Damage(`it says it has ${length} bytes, but there are ${bytes.length}`, { truncated: true });
  }
  if (length !== bytes.length) throw new Damage(`it says it has ${length} bytes, not ${bytes.length}`);
  const payloadEnd = bytes.length - 4;
  const checksum = new DataView(bytes.buffer, bytes.byteOffset + payloadEnd, 4).getUint32(0, true);
  if (crc32c(bytes.subarray(0, payloadEnd)) !== checksum) throw new Damage('its checksum is wrong');
  const version = cursor.size();
  if (version !== 0) throw new Damage(`its OCDBT format version is ${version}, and only 0 is known`);
  const compression = cursor.size();
  if (compression > 1) throw new Damage(`its compression method ${compression} is unknown`);
  const body = cursor.bytes(cursor.left - 4);
  if (compression === 0) return new ByteCursor(body);
  const source = (async function* () {
    yield body;
  })();
  return new ByteCursor(await decodeWhole(['zstd'], source, MAX_NODE_BYTES));
}

/** Reads a manifest's body; `folder` is the database's own. */
export function readManifest(cursor: ByteCursor): Manifest {
  cursor.bytes(16); // UUID of the database
  const kind = cursor.byte();
  if (kind > 1) throw new Damage(`its manifest kind ${kind} is unknown`);
  cursor.size(); // largest inline value
  cursor.size(); // largest decoded node
  const arityLog2 = cursor.byte();
  if (arityLog2 < 1 || arityLog2 > MAX_ARITY_LOG2)
    throw new Damage(`its version tree has arity 2^${arityLog2}`);
  const compression = cursor.size();
  if (compression > 1) throw new Damage(`its compression method ${compression} is unknown`);
  if (compression === 1) cursor.bytes(4); // zstd level
  // The file named manifest.ocdbt ends here where manifests are numbered; the numbered ones go on.
  if (kind === 1 && cursor.left === 0) return { kind: 'numbered' };

  const files = readDataFileTable(cursor, '');
  const versions = cursor.count(1, 2 ** arityLog2);
  cursor.column(versions, () => cursor.varint()); // generations
  const heights = cursor.column(versions, () => cursor.byte());
  const roots = readReferences(cursor, versions, files, { mayBeMissing: true });
  skipStatistics(cursor, versions);
  cursor.column(versions, () => cursor.bytes(8)); // commit times

  const older = cursor.count(0, MAX_NODE_ENTRIES);
  cursor.column(older, () => cursor.varint()); // last generations
  readReferences(cursor, older, files, { mayBeMissing: true });
  cursor.column(older, () => cursor.varint()); // generation counts
  cursor.column(older, () => cursor.bytes(8)); // first commit times
  cursor.column(older, () => cursor.byte()); // heights
  cursor.end();
  return { kind: 'single', root: roots.at(-1), height: heights.at(-1)! };
}

/** Reads a node's body; `base` is the path that its data files are relative to. */
export function readNode(cursor: ByteCursor, base: string): Node {
  const height = cursor.byte();
  const files = readDataFileTable(cursor, base);
  const count = cursor.count(1, MAX_NODE_ENTRIES);
  const shared = [0, ...cursor.column(count - 1, () => cursor.size())];
  const lengths = cursor.column(count, () => cursor.size());
  const handedDown = height > 0 ? cursor.column(count, () => cursor.size()) : [];
  const limits = { each: MAX_KEY_BYTES, total: MAX_NODE_KEY_BYTES };
  const keys = readSharedPrefixStrings(cursor, shared, lengths, limits);
  if (height === 0) return { height: 0, leaves: readLeaves(cursor, keys, files) };

  const nodes = readReferences(cursor, count, files, { mayBeMissing: false });
  skipStatistics(cursor, count);
  cursor.end();
  const children = keys.map((key, index) => {
    if (handedDown[index]! > key.length) throw new Damage('a key prefix is longer than its key');
    return { prefix: key.subarray(0, handedDown[index]!), node: nodes[index]! };
  });
  return { height, children };
}

function readLeaves(
  cursor: ByteCursor,
  keys: readonly Uint8Array[],
  files: readonly DataFile[],
): readonly LeafEntry[] {
  const lengths = cursor.column(keys.length, () => cursor.size());
  const outside = cursor.column(keys.length, () => {
    const kind = cursor.byte();
    if (kind > 1) throw new Damage(`its value kind ${kind} is unknown`);
    return kind === 1;
  });
  const outsideCount = outside.filter(Boolean).length;
  const fileOf = cursor.column(outsideCount, () => fileAt(files, cursor.size()));
  const offsets = cursor.column(outsideCount, () => cursor.size());
  let next = 0;
  const leaves = keys.map((key, index) => {
    const length = lengths[index]!;
    if (!outside[index]) return { key, value: cursor.bytes(length) };
    const reference = { file: fileOf[next]!, offset: offsets[next]!, length };
    next++;
    return { key, value: reference };
  });
  cursor.end();
  return leaves;
}

function readReferences(
  cursor: ByteCursor,
  count: number,
  files: readonly DataFile[],
  options: { readonly mayBeMissing: boolean },
): (Reference | undefined)[] {
  const indexes = cursor.column(count, () => cursor.varint());
  const offsets = cursor.column(count, () => cursor.varint());
  const lengths = cursor.column(count, () => cursor.varint());
  return indexes.map((index, at) => {
    const offset = offsets[at]!;
    const length = lengths[at]!;
    if (options.mayBeMissing && offset === MISSING && length === MISSING) return undefined;
    if (offset === MISSING || length === MISSING) throw new Damage('one of its references is missing');
    return { file: fileAt(files, index), offset, length };
  });
}

/** Key count, tree bytes and value bytes below each reference: of use to writers only. */
function skipStatistics(cursor: ByteCursor, count: number): void {
  cursor.column(3 * count, () => cursor.varint());
}

function fileAt(files: readonly DataFile[], index: number): DataFile {
  const file = files[index];
  if (file === undefined) throw new Damage(`it refers to data file ${index} of ${files.length}`);
  return file;
}
