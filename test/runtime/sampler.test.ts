/** The sampler against distributions worked out by hand, and draws against their distribution. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ForwardResult } from '../../src/runtime/forward.js';
import { createRandom } from '../../src/runtime/random.js';
import { chooseToken, headNeeds, type SamplingOptions } from '../../src/runtime/sampler.js';

/** Probabilities of tokens 0 to 5; likeliest first they are tokens 3, 1, 0, 5, 2, 4. */
const PROBABILITIES = [0.15, 0.25, 0.06, 0.4, 0.04, 0.1];
/** Logits are probabilities' logarithms and a constant; the second row of every result is this one. */
const SHIFT = 3;
const LOGITS = PROBABILITIES.map((p) => Math.log(p) + SHIFT);
const OTHER = [9, -9, 2, 0, 0, 1];

/** What the head gives for two rows: {@link OTHER}, then {@link LOGITS}. */
function resultFor(options: SamplingOptions): ForwardResult {
  const { candidates, logits } = headNeeds(options);
  const rows = [OTHER, LOGITS];
  const count = Math.min(candidates, LOGITS.length);
  const best = rows.map((row) => [...row.keys()].sort((a, b) => row[b]! - row[a]!).slice(0, count));
  return {
    topLogits: Float32Array.from(best.flatMap((ids, row) => ids.map((id) => rows[row]![id]!))),
    topIds: Int32Array.from(best.flat()),
    targetLogits: new Float32Array(2),
    logSumExp: Float32Array.from(rows, (row) => Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))),
    ...(logits && { logits: Float32Array.from(rows.flat()) }),
  };
}

/** Probabilities by token, the rest 0. */
type Expected = Readonly<Record<number, number>>;

const normalised = (weights: Expected): Expected => {
  const total = Object.values(weights).reduce((a, b) => a + b, 0);
  return Object.fromEntries(Object.entries(weights).map(([id, weight]) => [id, weight / total]));
};

const CASES: [
  name: string,
  options: Omit<SamplingOptions, 'temperature'> & { temperature?: number },
  Expected,
][] = [
  ['everything', {}, { ...PROBABILITIES }],
  ['top-k 1', { topK: 1 }, { 3: 1 }],
  ['top-k 3', { topK: 3 }, normalised({ 3: 0.4, 1: 0.25, 0: 0.15 })],
  ['top-k of the whole vocabulary', { topK: 6 }, { ...PROBABILITIES }],
  ['top-k beyond the vocabulary', { topK: 50 }, { ...PROBABILITIES }],
  ['top-k beyond what the graph sorts', { topK: 5000 }, { ...PROBABILITIES }],
  // 0.4 + 0.25 = 0.65 is not yet 0.7, so the third token is needed as well.
  ['top-p 0.7', { topP: 0.7 }, normalised({ 3: 0.4, 1: 0.25, 0: 0.15 })],
  ['top-p 0.6', { topP: 0.6 }, normalised({ 3: 0.4, 1: 0.25 })],
  ['top-p 0', { topP: 0 }, { 3: 1 }],
  ['top-p 1', { topP: 1 }, { ...PROBABILITIES }],
  // Of the likeliest 0.4, a quarter: 0.1 and more (just below, for the rounding of float32).
  ['min-p 0.24', { minP: 0.24 }, normalised({ 3: 0.4, 1: 0.25, 0: 0.15, 5: 0.1 })],
  ['min-p 1', { minP: 1 }, { 3: 1 }],
  ['min-p 0', { minP: 0 }, { ...PROBABILITIES }],
  // Top-p looks at what top-k has left: 0.4 / 0.8 = 0.5 is not yet 0.55, 0.65 / 0.8 is.
  ['top-k 3, top-p 0.55', { topK: 3, topP: 0.55 }, normalised({ 3: 0.4, 1: 0.25 })],
  ['top-p 0.9, min-p 0.5', { topP: 0.9, minP: 0.5 }, normalised({ 3: 0.4, 1: 0.25 })],
  // Half the temperature squares the probabilities before any of the rest.
  [
    'temperature 0.5',
    { temperature: 0.5 },
    normalised(Object.fromEntries(PROBABILITIES.map((p, i) => [i, p * p]))),
  ],
  // 0.16 / 0.2622 = 0.61 of the squares, and with 0.0625 it is 0.85.
  ['temperature 0.5, top-p 0.7', { temperature: 0.5, topP: 0.7 }, normalised({ 3: 0.16, 1: 0.0625 })],
  [
    'temperature 2, min-p 0.55',
    { temperature: 2, minP: 0.55 },
    normalised({ 3: 0.4 ** 0.5, 1: 0.5, 0: 0.15 ** 0.5 }),
  ],
];

const DRAWS = 20_000;

describe('draws', () => {
  for (const [name, given, expected] of CASES) {
    it(`with ${name} come as often as they should`, () => {
      const options = { temperature: 1, ...given };
      const result = resultFor(options);
      const random = createRandom(2024);
      const counts = new Map<number, number>();
      for (let i = 0; i < DRAWS; i++) {
        const { id, logprob } = chooseToken(result, 1, options, random);
        counts.set(id, (counts.get(id) ?? 0) + 1);
        // The model's own probability, whatever the options.
        assert.ok(Math.abs(Math.exp(logprob) - PROBABILITIES[id]!) < 1e-6);
      }
      const possible = Object.entries(expected).filter(([, p]) => p > 0);
      assert.deepEqual([...counts.keys()].sort(), possible.map(([id]) => Number(id)).sort());
      let chiSquare = 0;
      for (const [id, p] of possible) chiSquare += (counts.get(Number(id))! - DRAWS * p) ** 2 / (DRAWS * p);
      // With up to 5 degrees of freedom, one seed in a million exceeds 36; this seed is fixed.
      assert.ok(chiSquare < 36, `chi-square ${chiSquare}`);
    });
  }

  it('at temperature 0 are the likeliest token, whatever else is asked', () => {
    for (const options of [{ temperature: 0 }, { temperature: 0, topK: 4, topP: 0.3, minP: 0.1 }]) {
      const result = resultFor(options);
      const random = () => assert.fail('nothing is random here');
      assert.equal(chooseToken(result, 1, options, random).id, 3);
      assert.equal(chooseToken(result, 0, options, random).id, 0);
    }
  });

  it('come from their own row, also where it has fewer candidates than were asked for', () => {
    const options = { temperature: 1, topK: 50 };
    const result = resultFor(options);
    const random = createRandom(1);
    const total = OTHER.reduce((sum, logit) => sum + Math.exp(logit), 0);
    for (let i = 0; i < 2000; i++) {
      const { id, logprob } = chooseToken(result, 0, options, random);
      assert.ok(Math.abs(logprob - (OTHER[id]! - Math.log(total))) < 1e-5, `token ${id}`);
    }
  });

  it('take the first of equals, and can take the last', () => {
    const tied: ForwardResult = {
      topLogits: new Float32Array(1),
      topIds: new Int32Array(1),
      targetLogits: new Float32Array(1),
      logSumExp: new Float32Array([Math.log(4)]),
      logits: new Float32Array(4),
    };
    const almostOne = 1 - 2 ** -53;
    assert.equal(chooseToken(tied, 0, { temperature: 1 }, () => 0).id, 0);
    assert.equal(chooseToken(tied, 0, { temperature: 1 }, () => almostOne).id, 3);
    assert.equal(chooseToken(tied, 0, { temperature: 1, topP: 0.5 }, () => almostOne).id, 1);
  });
});

describe('what is asked of the head', () => {
  it('is one token when greedy, k for top-k, and whole rows otherwise', () => {
    assert.deepEqual(headNeeds({ temperature: 0, topK: 40 }), { candidates: 1, logits: false });
    assert.deepEqual(headNeeds({ temperature: 1, topK: 40 }), { candidates: 40, logits: false });
    assert.deepEqual(headNeeds({ temperature: 1, topP: 0.9 }), { candidates: 1, logits: true });
    assert.deepEqual(headNeeds({ temperature: 1, topK: 5000 }), { candidates: 1, logits: true });
  });
});
