/** What goes into one call: costs are weighed as the plan's own rule says, so each case here is one that can be reckoned by hand. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CallLimits, PREFILL_CHUNK, planCall } from '../../src/runtime/call-plan.js';

const LIMITS: CallLimits = { batch: 8, chunk: 256, asked: 1000 };

/** Plans a call for rows with so many tokens left, which are asked nothing but after their last. */
const plan = (lefts: readonly number[], limits: Partial<CallLimits> = {}) =>
  planCall(
    lefts.map((left) => ({ left, silent: left - 1 })),
    { ...LIMITS, ...limits },
  );

describe('a call', () => {
  it('takes one token of each row that has one', () => {
    assert.deepEqual(plan([1, 1, 1]), { firstRow: 0, lengths: [1, 1, 1] });
  });

  it('takes all of a prompt that runs alone, up to the chunk', () => {
    assert.deepEqual(plan([200]), { firstRow: 0, lengths: [200] });
    assert.deepEqual(plan([1000]), { firstRow: 0, lengths: [PREFILL_CHUNK] });
    assert.deepEqual(plan([1000], { chunk: 10 }), { firstRow: 0, lengths: [10] });
  });

  it('takes a few tokens of a prompt along with the newest of the others', () => {
    assert.deepEqual(plan([1, 1, 1, 1, 5]), { firstRow: 0, lengths: [1, 1, 1, 1, 5] });
  });

  it('takes a long prompt by itself, so that it is no padding for the others', () => {
    assert.deepEqual(plan([1, 1, 1, 1, 1, 1, 1, 100]), { firstRow: 7, lengths: [100] });
  });

  it('takes prompts of like lengths together, whole', () => {
    assert.deepEqual(plan([30, 31, 32]), { firstRow: 0, lengths: [30, 31, 32] });
    assert.deepEqual(plan([1, 1, 1, 1, 1, 1, 60, 64]), { firstRow: 6, lengths: [60, 64] });
  });

  it('leaves out rows beyond the batch, but for prefilling them', () => {
    assert.deepEqual(plan([1, 1, 1], { batch: 2 }), { firstRow: 0, lengths: [1, 1] });
    assert.deepEqual(plan([1, 90, 90], { batch: 2 }), { firstRow: 1, lengths: [90, 90] });
  });

  it('has a bounded number of places, whatever the rows', () => {
    for (const rows of [1, 3, 16, 64, 500]) {
      const lefts = Array.from({ length: rows }, (_, i) => 1 + ((i * 37) % 300));
      const { lengths } = plan(lefts, { batch: 500 });
      assert.ok(lengths.length * Math.max(...lengths) <= Math.max(PREFILL_CHUNK, rows));
      assert.ok(Math.max(...lengths) >= 1);
    }
  });

  it('asks for a bounded number of logits, of the first rows first', () => {
    const asking = (left: number, silent: number) => ({ left, silent });
    const rows = [asking(40, 10), asking(40, 10), asking(40, 10)];
    assert.deepEqual(planCall(rows, { ...LIMITS, asked: 45 }), { firstRow: 0, lengths: [40, 25, 10] });
    const drawing = [asking(1, 0), asking(1, 0), asking(1, 0)];
    assert.deepEqual(planCall(drawing, { ...LIMITS, asked: 2 }).lengths, [1, 1, 0]);
  });
});
