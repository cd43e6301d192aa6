/** Writes small safetensors files, such as saved states, whole or not at all. */

import { atomicWriter } from '../atomic-writer.js';
import { type DType, itemBytes, type Shape, tensorBytes } from '../graph/dtype.js';

/** A tensor in memory: name, dtype, shape, and its elements in row-major order, little-endian. */
export type NamedTensor = readonly [name: string, dtype: DType, shape: Shape, data: Uint8Array];

const CODES: Readonly<Record<DType, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
  complex64: 'C64',
};

/**
 * Writes a file with an {@link atomicWriter}, so that a reader never sees half of one. The tensors are ordered by the size of their elements, widest first: each then starts at a multiple of its own.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<NamedTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  const ordered = [...tensors].sort(([, a], [, b]) => itemBytes(b) - itemBytes(a));
  const file = await atomicWriter(path);
  try {
    await file.write(header(ordered, metadata));
    for (const [, , , data] of ordered) await file.write(data);
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** The header's length as eight bytes, then the header, padded with spaces so that the data starts at a multiple of eight. */
function header(tensors: readonly NamedTensor[], metadata: ReadonlyMap<string, string>): Buffer {
  const entries = new Map<string, unknown>();
  if (metadata.size > 0) entries.set('__metadata__', Object.fromEntries(metadata));
  let position = 0;
  for (const [name, dtype, shape, data] of tensors) {
    if (entries.has(name) || name === '__metadata__')
      throw new Error(`The name ${name} cannot be used, or is used twice.`);
    if (data.length !== tensorBytes(dtype, shape)) {
      throw new Error(`${name}: ${dtype} [${shape.join(', ')}] does not take ${data.length} bytes.`);
    }
    entries.set(name, { dtype: CODES[dtype], shape, data_offsets: [position, position + data.length] });
    position += data.length;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(8 + padded, ' ');
  bytes.writeBigUInt64LE(BigInt(padded));
  json.copy(bytes, 8);
  return bytes;
}
