/** Rotary position embedding on a part of each head (Griffin rotates the first half; Gemma and Mistral the whole). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';

/** Cosines and sines of every position's angles, float32 `[batch, time, 1, rotated / 2]`. */
export interface RopeTable {
  readonly cos: Value;
  readonly sin: Value;
}

/** Which elements of a head are rotated, and how fast. */
export interface Rope {
  /** Elements of a head that are rotated, from the first on. */
  readonly rotated: number;
  /** `theta`: the longest wavelength is 2 pi times nearly this. */
  readonly base: number;
  readonly scaling?: RopeScaling | undefined;
}

/** How Llama 3.1 stretches low frequencies to longer contexts (transformers/modeling_rope_utils.py, `_compute_llama3_parameters`). */
export interface RopeScaling {
  /** By which low frequencies are divided. */
  readonly factor: number;
  /** Frequencies that turn fewer times than the low one in `originalPositions` are low; more than the high one, high; what is between is blended. */
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly originalPositions: number;
}

/** As many floats as the widest registers hold. */
const GROUP = 16;

/**
 * The angles `position / base^(2 i / rotated)` for i below `rotated / 2`, rounded to float32 at each step as the references do
 * (recurrentgemma/jax/modules.py, `_apply_rope`; transformers/modeling_rope_utils.py).
 * @param positions int64 `[batch, time]`.
 */
export function ropeTable(m: Scope, positions: Value, { rotated, base, scaling }: Rope): RopeTable {
  const frequencies = Array.from({ length: rotated / 2 }, (_, i) => {
    const exponent = Math.fround((2 * i) / rotated);
    const frequency = Math.fround(1 / Math.fround(base ** exponent));
    return scaling ? scaleFrequency(frequency, scaling) : frequency;
  });
  // onnxruntime works on several angles at once, and takes what is left over another way, which may differ in the last bit: with whole groups a token's angles do not
  // depend on how many others are beside it.
  const padded = [...frequencies, ...new Array<number>(-frequencies.length & (GROUP - 1)).fill(0)];
  const position = m.unsqueeze(m.unsqueeze(m.cast(positions, 'float32'), 2), 3);
  const angles = m.mul(position, m.constant(padded, [1, 1, 1, padded.length]));
  const kept = (x: Value) =>
    padded.length === frequencies.length ? x : m.slice(x, 3, 0, frequencies.length);
  return { cos: kept(m.cos(angles)), sin: kept(m.sin(angles)) };
}

function scaleFrequency(frequency: number, scaling: RopeScaling): number {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalPositions } = scaling;
  const turns = (originalPositions * frequency) / (2 * Math.PI);
  const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return Math.fround(((1 - kept) * frequency) / factor + kept * frequency);
}

/** Rotates the first `rotated` elements of each head of `x` `[batch, time, heads, head_dim]`, pairing i with i + rotated / 2. */
export function applyRope(m: Scope, x: Value, { cos, sin }: RopeTable): Value {
  const half = cos.axes[3] as number;
  const rest = (x.axes[3] as number) - 2 * half;
  const [first, second, ...kept] = m.split(x, rest > 0 ? [half, half, rest] : [half, half]);
  const rotatedFirst = m.sub(m.mul(first!, cos), m.mul(second!, sin));
  const rotatedSecond = m.add(m.mul(second!, cos), m.mul(first!, sin));
  return m.concat([rotatedFirst, rotatedSecond, ...kept], 3);
}
