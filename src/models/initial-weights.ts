/** How the weights of a model that nobody has trained are distributed. */

/** Values that a distribution consists of: as many as 16 random bits choose from, and no fewer than bfloat16 can tell apart. */
export const LEVELS = 2 ** 16;

/** The i-th of {@link LEVELS} equally likely values. */
export type Distribution = (i: number) => number;

/** Normal with mean 0. */
export function normal(standardDeviation: number): Distribution {
  return (i) => standardDeviation * standardNormals()[i]!;
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
