/** Widening casts of stored elements to float32. */

import { RecgemmaError } from '../errors.js';
import { type DType, itemBytes } from './dtype.js';

/** Casts whole elements of one piece; the result is overwritten by the next call. */
type PieceCast = (piece: Uint8Array) => Uint8Array;

/**
 * Makes casts from one dtype to another: bfloat16, float16 or float64 to float32. Each has a buffer of its own, which goes with it.
 * @throws RecgemmaError for any other pair.
 */
export function pieceCast(from: DType, to: DType): () => PieceCast {
  const convert = to === 'float32' ? TO_FLOAT32[from] : undefined;
  if (!convert) throw new RecgemmaError('failed', `cannot cast ${from} to ${to}`);
  return () => {
    let output = new Uint8Array(0);
    return (piece) => {
      const bytes = (piece.byteLength / itemBytes(from)) * itemBytes(to);
      if (output.byteLength < bytes) output = new Uint8Array(bytes);
      const result = output.subarray(0, bytes);
      convert(aligned(piece, itemBytes(from)), result);
      return result;
    };
  };
}

type Convert = (input: Uint8Array, output: Uint8Array) => void;

const TO_FLOAT32: { readonly [D in DType]?: Convert } = {
  bfloat16(input, output) {
    const from = new Uint16Array(input.buffer, input.byteOffset, input.byteLength / 2);
    const into = new Uint32Array(output.buffer, output.byteOffset, from.length);
    for (let i = 0; i < from.length; i++) into[i] = from[i]! << 16;
  },
  float16(input, output) {
    const from = new Uint16Array(input.buffer, input.byteOffset, input.byteLength / 2);
    const into = new Float32Array(output.buffer, output.byteOffset, from.length);
    for (let i = 0; i < from.length; i++) into[i] = float16ToNumber(from[i]!);
  },
  float64(input, output) {
    const from = new Float64Array(input.buffer, input.byteOffset, input.byteLength / 8);
    new Float32Array(output.buffer, output.byteOffset, from.length).set(from);
  },
};

/** The number that IEEE 754 half-precision bits stand for. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The piece itself, or a copy where typed arrays cannot look at it in place. */
function aligned(piece: Uint8Array, alignment: number): Uint8Array {
  return piece.byteOffset % alignment === 0 ? piece : piece.slice();
}
