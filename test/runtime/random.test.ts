/** Random streams: the same on every machine and forever, uniform, and independent of each other. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRandom } from '../../src/runtime/random.js';

const take = (count: number, seed: number, ...stream: number[]) => {
  const random = createRandom(seed, ...stream);
  return Array.from({ length: count }, () => random());
};

describe('random streams', () => {
  it('are those of an implementation in Python, written from the published algorithm', () => {
    assert.deepEqual(take(3, 0), [0.17107687394909543, 0.542421144904898, 0.4554623310084386]);
    assert.deepEqual(take(3, 1, 0, 0), [0.38813585537001283, 0.32459353970125515, 0.43266452451020976]);
    assert.deepEqual(take(3, 1, 0, 1), [0.4581508880254256, 0.737490286804111, 0.06195581024295116]);
    assert.deepEqual(take(3, 2 ** 40 + 7, 3), [0.36428148086967316, 0.6413009314375101, 0.26178539972687875]);
    assert.deepEqual(take(3, 2 ** 53 - 1), [0.6771837713610204, 0.8036576905589539, 0.6842257038704271]);
  });

  it('differ in every word of their names', () => {
    const names = [
      [0],
      [1],
      [2 ** 32],
      [2 ** 32 + 1],
      [0, 0],
      [0, 1],
      [0, 0, 0],
      [0, 0, 1],
      [0, 1, 0],
      [1, 0, 0],
    ];
    const firsts = names.map(([seed, ...stream]) => take(4, seed!, ...stream).join());
    assert.equal(new Set(firsts).size, names.length);
  });

  it('are uniform', () => {
    const [count, bins] = [64_000, 64];
    const hits = new Array<number>(bins).fill(0);
    for (const value of take(count, 11, 5)) {
      assert.ok(value >= 0 && value < 1);
      hits[Math.floor(value * bins)]!++;
    }
    const expected = count / bins;
    const chiSquare = hits.reduce((sum, hit) => sum + (hit - expected) ** 2 / expected, 0);
    // 63 degrees of freedom: 63 ± 11; nearly always within six times that. Too even would be as bad.
    assert.ok(chiSquare > 25 && chiSquare < 130, `chi-square ${chiSquare}`);
  });

  it('are uniform across streams as well: the first number of each', () => {
    const [count, bins] = [6400, 64];
    const hits = new Array<number>(bins).fill(0);
    for (let stream = 0; stream < count; stream++) hits[Math.floor(take(1, 3, stream)[0]! * bins)]!++;
    const chiSquare = hits.reduce((sum, hit) => sum + (hit - count / bins) ** 2 / (count / bins), 0);
    assert.ok(chiSquare > 25 && chiSquare < 130, `chi-square ${chiSquare}`);
  });

  it('do not follow each other', () => {
    const count = 20_000;
    const one = take(count, 7, 0, 0);
    const pairs: [string, number[]][] = [
      ['its neighbour', take(count, 7, 0, 1)],
      ['the next prompt', take(count, 7, 1, 0)],
      ['the next seed', take(count, 8, 0, 0)],
      ['itself, one later', [...one.slice(1), 0.5]],
    ];
    for (const [what, other] of pairs) {
      const covariance = one.reduce((sum, x, i) => sum + (x - 0.5) * (other[i]! - 0.5), 0) / count;
      // The correlation of independent streams is 0 ± 1 / sqrt(count).
      assert.ok(Math.abs(12 * covariance) < 5 / Math.sqrt(count), `${what}: correlation ${12 * covariance}`);
    }
  });
});
