/**
 * The leaves of a flax state in MessagePack: the file `checkpoint` of Orbax before 0.6, or a whole flax checkpoint.
 * Sources: flax.serialization (extension types, chunked arrays) and Orbax's "PLACEHOLDER://" for arrays stored elsewhere.
 */

import { type DType, elementCount, itemBytes, type Shape } from '../../graph/dtype.js';
import type { ChunkedArray } from './chunked-array.js';
import { Damage } from './damage.js';
import {
  isBytes,
  isNumber,
  type Packed,
  type PackedBytes,
  type PackedNumber,
  skimMessagePack,
} from './msgpack.js';
import { type FileRange, type StoredValue, streamValue } from './stored-value.js';
import { parseDType } from './zarr-dtype.js';

/** A leaf by its path: an array, or the name under which the store beside the file has it. */
export type MessagePackLeaf = { readonly name: string } & (
  | { readonly array: ChunkedArray }
  | { readonly storedAs: string }
);

/** flax's extension types for arrays and for numpy scalars; both hold [shape, dtype, bytes]. Type 2 is a complex number. */
const ARRAY_EXTENSIONS: ReadonlySet<number | undefined> = new Set([1, 3]);

/** Key by which flax marks an array that it split because MessagePack's lengths end at 4 GiB. */
const CHUNKED_ARRAY = '__msgpack_chunked_array__';

const PLACEHOLDER = 'PLACEHOLDER://';

/** Reads all leaves that are numbers; strings and None are passed over. Throws {@link Damage}. */
export async function readMessagePackLeaves(file: FileRange): Promise<MessagePackLeaf[]> {
  const root = await skimMessagePack(file);
  if (!(root instanceof Map)) throw new Damage('it is not a tree of parameters in MessagePack');
  const leaves: MessagePackLeaf[] = [];
  await collect(root, [], leaves);
  const names = new Set<string>();
  for (const { name } of leaves) {
    if (names.has(name)) throw new Damage(`it has two leaves whose path is "${name}"`);
    names.add(name);
  }
  return leaves;
}

async function collect(value: Packed, path: readonly string[], leaves: MessagePackLeaf[]): Promise<void> {
  const name = path.join('.');
  if (typeof value === 'string') {
    if (value.startsWith(PLACEHOLDER)) leaves.push({ name, storedAs: value.slice(PLACEHOLDER.length) });
  } else if (typeof value === 'boolean' || value === null) {
    return;
  } else if (isNumber(value)) {
    leaves.push({ name, array: scalar(name, value) });
  } else if (isBytes(value)) {
    const array = ARRAY_EXTENSIONS.has(value.extension) ? await inlineArray(name, value) : undefined;
    if (array) leaves.push({ name, array });
  } else if (value instanceof Map && value.has(CHUNKED_ARRAY)) {
    const array = await splitArray(name, value);
    if (array) leaves.push({ name, array });
  } else {
    const children = value instanceof Map ? value.entries() : (value as readonly Packed[]).entries();
    for (const [key, child] of children) await collect(child, [...path, String(key)], leaves);
  }
}

/** An array in one extension; undefined where its type is never a weight's. */
async function inlineArray(name: string, value: PackedBytes): Promise<ChunkedArray | undefined> {
  const part = await arrayPart(name, value);
  return part && arrayOf(name, part.dtype, part.shape, [part.bytes]);
}

/** An array that flax split into flat parts. */
async function splitArray(name: string, map: ReadonlyMap<string, Packed>): Promise<ChunkedArray | undefined> {
  const shape = sizes(name, items(map.get('shape')));
  const bytes: StoredValue[] = [];
  let dtype: DType | undefined;
  for (const chunk of items(map.get('chunks'))) {
    if (!isBytes(chunk)) throw new Damage(`"${name}" is a split array without its parts`);
    const part = await arrayPart(name, chunk);
    if (part === undefined) return undefined;
    dtype ??= part.dtype;
    if (part.dtype !== dtype) throw new Damage(`"${name}" is an array of mixed element types`);
    bytes.push(part.bytes);
  }
  if (dtype === undefined) throw new Damage(`"${name}" is a split array without its parts`);
  return arrayOf(name, dtype, shape, bytes);
}

async function arrayPart(
  name: string,
  value: PackedBytes,
): Promise<{ dtype: DType; shape: Shape; bytes: FileRange } | undefined> {
  const parts = await skimMessagePack(value);
  if (!Array.isArray(parts) || parts.length !== 3)
    throw new Damage(`"${name}" is not an array as flax packs it`);
  const [shape, spelling, bytes]: readonly Packed[] = parts;
  const dtype = parseDType(spelling);
  if (dtype === 'ignored') return undefined;
  if (dtype === undefined) {
    throw new Damage(`"${name}" has element type ${JSON.stringify(spelling)}, which is not supported`);
  }
  if (bytes === undefined || !isBytes(bytes)) throw new Damage(`"${name}" is not an array as flax packs it`);
  return { dtype, shape: sizes(name, items(shape)), bytes };
}

function arrayOf(name: string, dtype: DType, shape: Shape, parts: readonly StoredValue[]): ChunkedArray {
  const expected = elementCount(shape) * itemBytes(dtype);
  const found = parts.reduce((sum, part) => sum + ('bytes' in part ? part.bytes.length : part.length), 0);
  if (found !== expected) {
    throw new Damage(`"${name}" of shape [${shape}] in ${dtype} has ${found} bytes, not ${expected}`);
  }
  const pieces = async function* () {
    for (const part of parts) yield* streamValue(part);
  };
  const finder = () => async () => ({ label: 'data', pieces: pieces() });
  return { name, dtype, shape, chunkShape: shape, fill: undefined, finder };
}

/** A plain number as a tensor without axes, in the type that Python's own numbers have. */
function scalar(name: string, { kind, value }: PackedNumber): ChunkedArray {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  if (kind === 'float') view.setFloat64(0, Number(value), true);
  else view.setBigInt64(0, BigInt(value), true);
  return arrayOf(name, kind === 'float' ? 'float64' : 'int64', [], [{ bytes }]);
}

/** A list; flax also writes tuples as maps from "0", "1", … */
function items(value: Packed | undefined): readonly Packed[] {
  if (Array.isArray(value)) return value;
  return value instanceof Map ? [...value.values()] : [];
}

function sizes(name: string, values: readonly Packed[]): Shape {
  return values.map((value) => {
    const size = isNumber(value) && value.kind === 'integer' ? Number(value.value) : -1;
    if (!Number.isSafeInteger(size) || size < 0)
      throw new Damage(`"${name}" has a shape that is no list of sizes`);
    return size;
  });
}
