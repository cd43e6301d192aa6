/** Comparisons of arrays of numbers. */

import assert from 'node:assert/strict';

/** The largest absolute difference of two arrays; infinite where their lengths differ or a difference is no number. */
export function maxDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let max = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= max)) max = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return max;
}

/** Asserts that two arrays differ nowhere by more than `tolerance`. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  const difference = maxDifference(actual, expected);
  assert.ok(
    difference <= tolerance,
    `${what}: ${actual.length} against ${expected.length} numbers, off by ${difference}, more than ${tolerance}`,
  );
}
