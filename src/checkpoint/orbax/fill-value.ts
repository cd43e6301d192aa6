/** zarr fill values: what the elements of a chunk that was never written are. */

import { type DType, itemBytes } from '../../graph/dtype.js';
import { Damage } from './damage.js';

/** JSON has no word for these, so zarr writes them as strings. */
const NAMED: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/**
 * One element (little-endian) with the fill value of a zarr v2 or v3 header, or undefined where the header has none, so that
 * every chunk must be there. Throws {@link Damage} for what is no number.
 */
export function parseFillValue(value: unknown, dtype: DType): Uint8Array | undefined {
  if (value === null || value === undefined) return undefined;
  const element = new Uint8Array(itemBytes(dtype));
  // zarr v3 may also give the bits themselves.
  if (typeof value === 'string' && /^0x[0-9a-fA-F]{1,16}$/.test(value)) {
    let bits = BigInt(value);
    for (let index = 0; index < element.length; index++, bits >>= 8n) element[index] = Number(bits & 0xffn);
    return element;
  }
  const number = typeof value === 'string' ? NAMED[value] : Number(value);
  if (number === undefined || typeof value === 'object') {
    throw new Damage(`its fill value ${JSON.stringify(value)} is not a number`);
  }
  if (!dtype.includes('float') && !Number.isSafeInteger(number)) {
    throw new Damage(`its fill value ${number} is not a whole number`);
  }
  WRITERS[dtype](new DataView(element.buffer), number);
  return element;
}

const WRITERS: Readonly<Record<DType, (view: DataView, value: number) => void>> = {
  float64: (view, value) => view.setFloat64(0, value, true),
  float32: (view, value) => view.setFloat32(0, value, true),
  float16: (view, value) => view.setUint16(0, float16Bits(value), true),
  // The upper half of a float32: exact, as the value came from a bfloat16.
  bfloat16: (view, value) => view.setUint16(0, float32Bits(value) >>> 16, true),
  int64: (view, value) => view.setBigInt64(0, BigInt(value), true),
  int32: (view, value) => view.setInt32(0, value, true),
  int16: (view, value) => view.setInt16(0, value, true),
  int8: (view, value) => view.setInt8(0, value),
  uint8: (view, value) => view.setUint8(0, value),
  bool: (view, value) => view.setUint8(0, value),
  // The real part; the other is 0.
  complex64: (view, value) => view.setFloat32(0, value, true),
};

function float32Bits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]!;
}

/** IEEE 754 binary16 of a value that has one exactly. */
function float16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size > 65504) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  return sign | (((exponent + 15) << 10) + Math.round((size / 2 ** exponent - 1) * 1024));
}
