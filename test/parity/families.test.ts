/** What every family owes whatever its matrices and keys are stored in: that it stays near float32, and that a text does not depend on its neighbours. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { tokenId } from '../../src/tokenizer/tokenizer.js';
import { compareWithModel } from '../../src/verify/compare-models.js';
import { CheckList } from '../../src/verify/report.js';
import { verifyModel } from '../../src/verify/verify.js';
import { convertGolden, loadEngine, missing } from '../support/goldens.js';
import { continueGreedily } from '../support/greedy.js';
import { assertClose } from '../support/numbers.js';

/** One golden of each way in which state is kept, besides Griffin's own (precisions.test.ts). */
const GOLDENS = [
  'gemma-mqa-tiny/hf-bf16',
  'gemma-mha-tiny/hf-f32',
  'mistral-tiny/hf-sharded-f32',
  'llama-tiny/hf-f32',
  'mamba-tiny/hf-f32',
];

/**
 * Mean KL divergence in nats from the float32 form: about twice the worst that was measured. Random weights of 24 to 48 columns lose far more than trained ones, and in four
 * bits nearly everything: there only what does not depend on the weights is checked.
 */
const DIVERGENCE = { fp16: 1e-4, int8: 0.04, int4: Number.POSITIVE_INFINITY } as const;

describe('every family', { concurrency: 1 }, () => {
  for (const golden of GOLDENS) {
    const skip = missing(`checkpoints/${golden}`);
    for (const precision of ['fp16', 'int8', 'int4'] as const) {
      it(`stays near float32 in ${precision}: ${golden}`, { skip }, async () => {
        const [rounded, exact] = [await convertGolden(golden, { precision }), await convertGolden(golden)];
        const engine = await loadEngine(rounded);
        const found = await compareWithModel(engine, exact, new CheckList(), { threads: 1 });
        assert.ok(found.klDivergence > 0, 'nothing was rounded');
        assert.ok(found.klDivergence < DIVERGENCE[precision], `KL divergence ${found.klDivergence}`);
        // Gaussian matrices of few columns: 0.5 to 1 % in eight bits, 4 to 12 % in four.
        const errors = (engine.folder.manifest.matrices ?? []).map(({ error }) => error);
        const [least, most] = { fp16: [0, 0], int8: [0.002, 0.016], int4: [0.03, 0.13] }[precision];
        for (const error of errors) assert.ok(error > least! && error < most!, `error ${error}`);
        assert.equal(errors.length > 0, precision !== 'fp16');
      });

      it(`agrees with itself in ${precision}, its saved state to the bit: ${golden}`, { skip }, async () => {
        const { checks } = await verifyModel(await convertGolden(golden, { precision }), { threads: 1 });
        assert.deepEqual(
          checks.filter(({ passed }) => !passed),
          [],
        );
        assert.equal(checks.find(({ name }) => name === 'saved state')?.worst, 0);
      });
    }

    for (const precision of ['fp32', 'int8', 'int4'] as const) {
      it(`writes the same text alone and among others in ${precision}: ${golden}`, { skip }, async () => {
        const engine = await loadEngine(await convertGolden(golden, { precision }));
        // Short and long, so that some are fed while others draw, and beyond Mistral's window and the first slots.
        const prompts = [3, 90, 1, 17, 70, 5, 31].map((length, i) =>
          Array.from({ length }, (_, t) => tokenId(((i + 3) * 7919 * (t + 1)) % 500)),
        );
        const continued = (batch: number) => continueGreedily(engine, prompts, { batch, maxTokens: 24 });
        const alone = await continued(1);
        for (const batch of [2, 3, 7]) {
          for (const [i, { tokenIds, logprobs }] of (await continued(batch)).entries()) {
            const what = `prompt ${i} in a batch of ${batch}`;
            assert.deepEqual(tokenIds, alone[i]!.tokenIds, what);
            assertClose(logprobs, alone[i]!.logprobs, precision === 'fp32' ? 1e-4 : 1e-5, what);
          }
        }
      });
    }
  }
});
