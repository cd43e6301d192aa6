/** How the weights of a model that nobody has trained are distributed. */

import type { Shape } from '../graph/dtype.js';

/** Values that a distribution consists of: as many as 16 random bits choose from, and no fewer than bfloat16 can tell apart. */
export const LEVELS = 2 ** 16;

/** The i-th of {@link LEVELS} equally likely values. */
export type Distribution = (i: number) => number;

/** Normal with mean 0. */
export function normal(standardDeviation: number): Distribution {
  return (i) => standardDeviation * standardNormals()[i]!;
}

/** Of biases and of the norms' distances from 1; DeepMind starts them at 0, where no mistake in them would be seen. */
const SMALL = 0.02;

/**
 * The distribution of the weight at `path`, where a family says nothing else. Every matrix, a convolution too, has variance 1 / fan-in: DeepMind's `variance_scaling`,
 * without its smaller factors for the last layer of each block, so that no block of an untrained model is next to nothing.
 */
export function initialWeight(
  path: string,
  shape: Shape,
  norms: { readonly normFromOne: boolean },
): Distribution {
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (name.endsWith('_embedding')) return normal(shape[1]! ** -0.5);
  if (name === 'kernel' || name === 'w') return normal(shape.at(-2)! ** -0.5);
  const small = normal(SMALL);
  return name === 'scale' && !norms.normFromOne ? (i) => 1 + small(i) : small;
}

let normals: Float64Array | undefined;

/**
 * Box and Muller's transformation of evenly spread points instead of random ones, radii at the quantiles and angles a golden
 * section apart. The largest value is 4.9.
 */
function standardNormals(): Float64Array {
  normals ??= Float64Array.from({ length: LEVELS }, (_, i) => {
    return Math.sqrt(-2 * Math.log(uniform(i))) * Math.cos(2 * Math.PI * GOLDEN_SECTION * i);
  });
  return normals;
}

const GOLDEN_SECTION = (Math.sqrt(5) - 1) / 2;

/** The middle of the i-th of {@link LEVELS} equal parts of 0 to 1. */
export function uniform(i: number): number {
  return (i + 0.5) / LEVELS;
}
