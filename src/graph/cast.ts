/** Casts of stored elements to float32, which is exact but from float64, and to the nearest float16. */

import { RecgemmaError } from '../errors.js';
import { type DType, itemBytes } from './dtype.js';
import { UnfitWeightError } from './unfit-weight.js';

/** Casts whole elements of one piece; the result is overwritten by the next call. */
export type PieceCast = (piece: Uint8Array) => Uint8Array;

/**
 * Makes casts from one floating dtype to another, float32 or float16. Each has a buffer of its own, which goes with it. A cast throws
 * UnfitWeightError where a finite element is beyond float16.
 * @throws RecgemmaError for any other pair.
 */
export function pieceCast(from: DType, to: DType): () => PieceCast {
  const convert = CASTS[to]?.[from];
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

const CASTS: { readonly [To in DType]?: { readonly [From in DType]?: Convert } } = {
  float32: {
    bfloat16(input, output) {
      const from = new Uint16Array(input.buffer, input.byteOffset, input.byteLength / 2);
      const into = new Uint32Array(output.buffer, output.byteOffset, from.length);
      for (let i = 0; i < from.length; i++) into[i] = from[i]! << 16;
    },
    float16(input, output) {
      const from = new Uint16Array(input.buffer, input.byteOffset, input.byteLength / 2);
      const into = new Float32Array(output.buffer, output.byteOffset, from.length);
      const numbers = float16Numbers();
      for (let i = 0; i < from.length; i++) into[i] = numbers[from[i]!]!;
    },
    float64(input, output) {
      const from = new Float64Array(input.buffer, input.byteOffset, input.byteLength / 8);
      new Float32Array(output.buffer, output.byteOffset, from.length).set(from);
    },
  },
  float16: {
    bfloat16(input, output) {
      const from = new Uint16Array(input.buffer, input.byteOffset, input.byteLength / 2);
      const into = new Uint16Array(output.buffer, output.byteOffset, from.length);
      for (let i = 0; i < from.length; i++) into[i] = nearestFloat16(from[i]! << 16);
    },
    float32(input, output) {
      const from = new Uint32Array(input.buffer, input.byteOffset, input.byteLength / 4);
      const into = new Uint16Array(output.buffer, output.byteOffset, from.length);
      for (let i = 0; i < from.length; i++) into[i] = nearestFloat16(from[i]!);
    },
    float64(input, output) {
      const from = new Float64Array(input.buffer, input.byteOffset, input.byteLength / 8);
      const into = new Uint16Array(output.buffer, output.byteOffset, from.length);
      for (let i = 0; i < from.length; i++) into[i] = nearestFloat16(oddFloat32(from[i]!));
    },
  },
};

/** The float16 nearest to the float32 of these bits, ties to even (IEEE 754, 4.3.1). Infinities and NaN stay what they are. */
function nearestFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  // From 2^-14 on a float16 is normal: ten bits of the fraction stay, and the exponent counts from 112 less.
  if (size >= 0x38800000 && size < ROUNDS_TO_65536) {
    return sign | (((size + 0xfff + ((size >>> 13) & 1)) >>> 13) - (112 << 10));
  }
  if (size >= ROUNDS_TO_65536) {
    if (size > 0x7f800000) return sign | 0x7e00;
    if (size === 0x7f800000) return sign | 0x7c00;
    throw beyondFloat16(bits);
  }
  // Below, it counts multiples of 2^-24; up to half of one is zero.
  if (size <= 0x33000000) return sign;
  const shift = 126 - (size >>> 23);
  const significand = (size & 0x7fffff) | 0x800000;
  return sign | ((significand + (1 << (shift - 1)) - 1 + ((significand >>> shift) & 1)) >>> shift);
}

/** The bits of 65520: halfway between the largest float16, 65504, and what would follow. */
const ROUNDS_TO_65536 = 0x477ff000;

const float32 = new Float32Array(1);
const float32Bits = new Uint32Array(float32.buffer);

/** Bits of a float32 next to `x`, the odd one of two: rounded further, to fewer bits, it gives what `x` itself would. */
function oddFloat32(x: number): number {
  float32[0] = x;
  const nearest = float32[0]!;
  const bits = float32Bits[0]!;
  if (nearest === x || Number.isNaN(x) || bits & 1) return bits;
  return Math.abs(nearest) > Math.abs(x) ? bits - 1 : bits + 1;
}

function beyondFloat16(bits: number): UnfitWeightError {
  float32Bits[0] = bits;
  return new UnfitWeightError(`holds ${float32[0]}; float16 ends at 65504.`, {
    hint: 'Convert it with another --precision.',
    details: { value: float32[0] },
  });
}

let numbersOfFloat16: Float32Array | undefined;

/** All float16s as numbers, by their bits. */
function float16Numbers(): Float32Array {
  numbersOfFloat16 ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => float16ToNumber(bits));
  return numbersOfFloat16;
}

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
