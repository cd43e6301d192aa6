/** Scoring and perplexity: independent of batches and chunks, and consistent with each other. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InterruptedError } from '../../src/errors.js';
import { perplexity } from '../../src/runtime/perplexity.js';
import { createRandom } from '../../src/runtime/random.js';
import { type ScoreRequest, score } from '../../src/runtime/score.js';
import { type TokenId, tokenId } from '../../src/tokenizer/tokenizer.js';
import { gather } from '../support/gather.js';
import { goldenEngine } from '../support/goldens.js';
import { assertClose } from '../support/numbers.js';

const engineOf = () => goldenEngine('rg-tiny/hf-bf16');
const BOS = tokenId(2);

const random = createRandom(4);
const ids = (count: number): TokenId[] =>
  Array.from({ length: count }, () => tokenId(Math.floor(random() * 512)));

/** Contexts and continuations of many lengths. */
const REQUESTS = [1, 9, 40, 3, 17, 2, 70].map(
  (length, i): ScoreRequest => ({
    id: `r${i}`,
    contextIds: ids(length),
    continuationIds: ids(1 + ((5 * i) % 13)),
  }),
);

describe('scores', () => {
  it('depend neither on the batch nor on the chunks', async () => {
    const engine = await engineOf();
    const alone = await gather(score(engine, REQUESTS));
    assert.deepEqual(
      alone.map(({ id }) => id),
      REQUESTS.map(({ id }) => id),
    );
    for (const options of [{ batch: 7 }, { batch: 3, chunk: 1 }, { batch: 2, chunk: 6 }, { chunk: 13 }]) {
      const results = await gather(score(engine, REQUESTS, { ...options, ordered: true }));
      for (const [i, result] of results.entries()) {
        assert.deepEqual(
          { ...result, logprob: 0, tokenLogprobs: [] },
          { ...alone[i]!, logprob: 0, tokenLogprobs: [] },
        );
        assertClose(
          result.tokenLogprobs,
          alone[i]!.tokenLogprobs,
          1e-4,
          `${result.id}, ${JSON.stringify(options)}`,
        );
      }
    }
  });

  it('are sums of the scores of their tokens, one after another', async () => {
    const engine = await engineOf();
    for (const { id, contextIds, continuationIds } of REQUESTS.slice(0, 3)) {
      const [whole] = await gather(score(engine, [{ id, contextIds, continuationIds }]));
      const steps = continuationIds.map((token, i) => ({
        id: String(i),
        contextIds: [...contextIds, ...continuationIds.slice(0, i)],
        continuationIds: [token],
      }));
      const each = (await gather(score(engine, steps))).map(({ logprob }) => logprob);
      assertClose(whole!.tokenLogprobs, each, 1e-4, String(id));
      assert.equal(
        whole!.logprob,
        whole!.tokenLogprobs.reduce((a, b) => a + b, 0),
      );
    }
  });

  it('end with the reason of a signal', async () => {
    const engine = await engineOf();
    const signal = AbortSignal.abort(new InterruptedError());
    await assert.rejects(gather(score(engine, REQUESTS, { signal })), InterruptedError);
  });
});

describe('perplexity', () => {
  it('is that of the whole text scored after BOS, whatever the chunks', async () => {
    const engine = await engineOf();
    const text = ids(150);
    const [scored] = await gather(score(engine, [{ id: 'text', contextIds: [BOS], continuationIds: text }]));
    for (const chunk of [undefined, 1, 7, 64, 1000]) {
      const progress: number[] = [];
      const options = {
        ...(chunk !== undefined && { chunk }),
        onProgress: (count: number) => progress.push(count),
      };
      const result = await perplexity(engine, text, BOS, options);
      assert.equal(result.numTokens, 150);
      assertClose([result.logprob], [scored!.logprob], 1e-2, `chunk ${chunk}`);
      assert.equal(result.perplexity, Math.exp(-result.logprob / 150));
      assert.equal(progress.at(-1), 150);
    }
  });
});
