/** Reads safetensors: a length, a JSON header, then the tensors' bytes back to back (huggingface/safetensors, README "Format"). */

import { resolve } from 'node:path';
import { InputError } from '../errors.js';
import { type DType, elementCount, itemBytes, type Shape } from '../graph/dtype.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import type { Checkpoint } from './checkpoint.js';
import { openRangeFile, type RangeFile, readRange, streamRange } from './file-range.js';
import { jsonEntries, MAX_JSON_BYTES, parseJsonObject } from './json-object.js';
import { type FileNames, locateFile } from './locate.js';
import { quoted } from './quoted.js';
import { openSharded } from './sharded.js';

/** An opened safetensors checkpoint. */
export interface SafetensorsCheckpoint extends Checkpoint {
  /** The header's free text, `__metadata__`; empty for a sharded checkpoint. */
  readonly metadata: ReadonlyMap<string, string>;
}

const FILE_NAMES: FileNames = {
  usual: ['model.safetensors', 'model.safetensors.index.json'],
  patterns: [/\.safetensors\.index\.json$/, /\.safetensors$/],
};
const INDEX = /\.index\.json$/;

/** The header's length comes first, as a little-endian 64-bit number. */
const LENGTH_BYTES = 8;

const DTYPES: ReadonlyMap<unknown, DType> = new Map<unknown, DType>([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
  ['C64', 'complex64'],
]);

/**
 * Opens a `.safetensors` file, a `*.safetensors.index.json` with its shards, or a folder that holds one of them. Every header is
 * read and checked: the tensors must tile the file's data exactly. Throws InputError otherwise.
 */
export async function openSafetensors(path: string): Promise<SafetensorsCheckpoint> {
  const file = await locateFile(path, FILE_NAMES);
  if (file === undefined) {
    throw new InputError(
      `${path} holds neither model.safetensors, nor an index, nor exactly one .safetensors file.`,
    );
  }
  if (!INDEX.test(file)) return { ...(await openFile(file)), path };
  return { ...(await openSharded(file, openFile)), path, metadata: new Map() };
}

/** Whether the path is, by its content, a safetensors file, or else an index or a folder that leads to some. */
export async function looksLikeSafetensors(path: string): Promise<boolean> {
  const found = await locateFile(path, FILE_NAMES);
  if (found === undefined) return false;
  if (INDEX.test(found)) return found.endsWith('.safetensors.index.json');
  const file = await openRangeFile(found).catch(() => undefined);
  if (file === undefined || file.size <= LENGTH_BYTES) {
    await file?.handle.close();
    return false;
  }
  try {
    const start = await readRange(file, 0, LENGTH_BYTES + 1, 'the header');
    const fits = start.readBigUInt64LE() <= BigInt(file.size - LENGTH_BYTES);
    return fits && start[LENGTH_BYTES] === '{'.charCodeAt(0);
  } finally {
    await file.handle.close();
  }
}

async function openFile(path: string): Promise<SafetensorsCheckpoint> {
  const file = await openRangeFile(path);
  try {
    const { header, dataStart } = await readHeader(file);
    const metadata = readMetadata(file, header.get('__metadata__'));
    header.delete('__metadata__');
    const placements = [...header].map(([name, entry]) => readPlacement(file, name, entry));
    checkTiling(file, placements, file.size - dataStart);
    const tensors = new Map(
      placements.map((placement) => [placement.name, lazily(file, dataStart, placement)]),
    );
    const close = () => file.handle.close();
    return { format: 'safetensors', path, files: [resolve(path)], tensors, metadata, close };
  } catch (error) {
    await file.handle.close();
    throw error;
  }
}

async function readHeader(file: RangeFile): Promise<{ header: Map<string, unknown>; dataStart: number }> {
  const length = (await readRange(file, 0, LENGTH_BYTES, 'the length of its header')).readBigUInt64LE();
  const remaining = BigInt(file.size - LENGTH_BYTES);
  if (length > remaining) {
    throw new InputError(
      `${file.path} is not a safetensors file, or is cut off: its header claims ${length} bytes.`,
      {
        hint: 'If it was downloaded, get it again; a git-lfs pointer instead of the file itself looks like this too.',
        details: { file: file.path, size: file.size },
      },
    );
  }
  if (length > BigInt(MAX_JSON_BYTES)) {
    throw new InputError(
      `${file.path} has a header of ${length} bytes; more than ${MAX_JSON_BYTES} are not read.`,
    );
  }
  const bytes = await readRange(file, LENGTH_BYTES, Number(length), 'its header');
  if (bytes[0] !== '{'.charCodeAt(0)) throw new InputError(`${file.path} is not a safetensors file.`);
  return {
    header: parseJsonObject(bytes, `The header of ${file.path}`),
    dataStart: LENGTH_BYTES + bytes.length,
  };
}

function readMetadata(file: RangeFile, value: unknown): Map<string, string> {
  const metadata = new Map<string, string>();
  if (value === undefined || value === null) return metadata;
  const fields = jsonEntries(value);
  if (fields === undefined) throw new InputError(`${file.path} has a "__metadata__" that is not a map.`);
  for (const [key, text] of fields) {
    if (typeof text !== 'string') {
      throw new InputError(`${file.path} has metadata ${quoted(key)} that is not text.`);
    }
    metadata.set(key, text);
  }
  return metadata;
}

/** One entry of the header: where a tensor lies within the data. */
interface Placement {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly begin: number;
  readonly end: number;
}

function readPlacement(file: RangeFile, name: string, entry: unknown): Placement {
  const fail = (problem: string) => badTensor(file, name, problem);
  const fields = jsonEntries(entry);
  if (fields === undefined) throw fail('has no description');
  const dtype = DTYPES.get(fields.get('dtype'));
  if (dtype === undefined) throw fail(`is of type ${quoted(fields.get('dtype'))}, which cannot be read`);
  const shape = fields.get('shape');
  if (!isSizes(shape)) throw fail('has a shape that is not a list of sizes');
  const offsets = fields.get('data_offsets');
  if (!isSizes(offsets) || offsets.length !== 2) throw fail('has data offsets that are not two positions');
  const [begin, end] = [offsets[0]!, offsets[1]!];
  // The product is exact while it is a safe integer, and can never come back to one after it was not, but by a zero.
  let bytes = itemBytes(dtype);
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) throw fail(`has the impossible shape [${shape.join(', ')}]`);
  }
  if (end - begin !== bytes) {
    throw fail(`takes ${end - begin} bytes, but ${dtype} [${shape.join(', ')}] needs ${bytes}`);
  }
  return { name, dtype, shape, begin, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/**
 * The format's own rule against overlaps, holes and trailing bytes. It also catches a name that the header gives twice: JSON keeps
 * the last, and the bytes of the first are then a hole.
 */
function checkTiling(file: RangeFile, placements: readonly Placement[], dataBytes: number): void {
  let position = 0;
  for (const { name, begin, end } of placements.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position) {
      throw badTensor(file, name, `starts at byte ${begin} of the data, where byte ${position} was due`);
    }
    position = end;
  }
  if (position !== dataBytes) {
    throw new InputError(`${file.path} holds ${dataBytes} bytes of data, but its tensors take ${position}.`, {
      ...(position > dataBytes && {
        hint: 'The file was probably cut off while it was downloaded; get it again.',
      }),
      details: { file: file.path, expected: position, found: dataBytes },
    });
  }
}

function lazily(file: RangeFile, dataStart: number, { name, dtype, shape, begin }: Placement): LazyTensor {
  const bytes = elementCount(shape) * itemBytes(dtype);
  const read = () => streamRange(file, dataStart + begin, bytes, `the tensor ${quoted(name)}`);
  return { dtype, shape, read };
}

function badTensor(file: RangeFile, name: string, problem: string): InputError {
  return new InputError(`The tensor ${quoted(name)} of ${file.path} ${problem}.`, {
    details: { file: file.path, tensor: name },
  });
}
