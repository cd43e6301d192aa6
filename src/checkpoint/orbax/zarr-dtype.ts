/** Element types as zarr v2 (numpy codes), zarr v3 and flax spell them. */

import type { DType } from '../../graph/dtype.js';

/** Spellings of the types that weights come in. numpy's one-byte codes carry `|`, the others `<` for little-endian. */
const SPELLINGS: Readonly<Record<string, DType>> = {
  bfloat16: 'bfloat16',
  float16: 'float16',
  float32: 'float32',
  float64: 'float64',
  int8: 'int8',
  int16: 'int16',
  int32: 'int32',
  int64: 'int64',
  uint8: 'uint8',
  bool: 'bool',
  '<f2': 'float16',
  '<f4': 'float32',
  '<f8': 'float64',
  '<i2': 'int16',
  '<i4': 'int32',
  '<i8': 'int64',
  '|i1': 'int8',
  '|u1': 'uint8',
  '|b1': 'bool',
};

/** Types of random keys and step counters beside the weights, for which a model file has no use: such arrays are passed over. */
const NEVER_WEIGHTS = new Set(['uint16', 'uint32', 'uint64', '<u2', '<u4', '<u8']);

/** The element type of that name; 'ignored' where it is never a weight's, undefined where we cannot read it. */
export function parseDType(spelling: unknown): DType | 'ignored' | undefined {
  if (typeof spelling !== 'string') return undefined;
  if (NEVER_WEIGHTS.has(spelling)) return 'ignored';
  return Object.hasOwn(SPELLINGS, spelling) ? SPELLINGS[spelling] : undefined;
}
