/** Many sequences in few rows: full rows, shared beginnings, any order, and always what each gives alone. On a trained model, whose texts mean something. */

import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Engine } from '../../src/runtime/engine.js';
import { type GenerateOptions, type GenerateRequest, generate } from '../../src/runtime/generate.js';
import { createRandom } from '../../src/runtime/random.js';
import { RunStats } from '../../src/runtime/run-stats.js';
import { type ScoreRequest, score } from '../../src/runtime/score.js';
import type { TokenId, Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { factbookModel, heldOutText } from '../support/factbook.js';
import { gather } from '../support/gather.js';
import { assertClose } from '../support/numbers.js';

let engine: Engine;
let tokenizer: Tokenizer;
/** Tokens of a text to cut prompts from. */
let text: readonly TokenId[];

before(async () => {
  ({ engine, tokenizer } = await factbookModel('griffin'));
  text = tokenizer.encode(heldOutText().slice(0, 50_000), { bos: false });
});

const random = createRandom(6);
const between = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
const piece = (length: number) => {
  const start = between(0, text.length - length);
  return text.slice(start, start + length);
};
const promptOf = (length: number) => [tokenizer.bosId!, ...piece(length - 1)];

async function run(requests: readonly GenerateRequest[], options: Partial<GenerateOptions>) {
  const stats = new RunStats(options.batch ?? 1);
  const all = { temperature: 0, maxTokens: 40, seed: 3, stats, ...options };
  const events = await gather(generate(engine, requests, all));
  return { results: events.filter((event) => event.kind === 'result'), stats };
}

/** Token ids by request and sample. */
const idsOf = ({ results }: Awaited<ReturnType<typeof run>>) =>
  Object.fromEntries(results.map(({ id, sample, tokenIds }) => [`${id} #${sample}`, tokenIds]));

describe('200 prompts of mixed lengths', () => {
  const REQUESTS = 200;
  /** Prompts of 2 to 150 tokens; texts end at a line's end or at 40 tokens. */
  const mixed = () => {
    const requests = Array.from({ length: REQUESTS }, (_, id) => ({
      id,
      promptIds: promptOf(between(2, 150)),
    }));
    const stopIds = tokenizer.encode('\n', { bos: false }).slice(-1);
    return { requests, stopIds };
  };

  for (const [temperature, ...batches] of [[0, 4, 16, 64] as const, [0.8, 8] as const]) {
    it(`give what they give one by one, at temperature ${temperature}, with rows that are busy`, async () => {
      const { requests, stopIds } = mixed();
      const options = { temperature, stopIds };
      const alone = await run(requests, options);
      assert.equal(alone.results.length, REQUESTS);
      assert.ok(new Set(alone.results.map(({ tokenIds }) => tokenIds.length)).size > 10, 'lengths differ');
      for (const batch of batches) {
        const together = await run(requests, { ...options, batch });
        assert.deepEqual(idsOf(together), idsOf(alone), `batch ${batch}`);
        const { busy, calls, promptTokens, sharedTokens } = together.stats;
        assert.ok(busy >= 0.9, `batch ${batch}: ${busy} busy`);
        assert.ok(calls < alone.stats.calls / Math.min(8, batch / 2), `${calls} calls`);
        assert.deepEqual([promptTokens, sharedTokens], [alone.stats.promptTokens, 0]);
      }
      if (temperature > 0) return; // each place among the requests has a stream of random numbers of its own
      const backwards = await run([...requests].reverse(), { ...options, batch: 8 });
      assert.deepEqual(idsOf(backwards), idsOf(alone));
    });
  }
});

describe('prompts with a beginning in common', () => {
  it('compute it once, and give what they give alone', async () => {
    const head = promptOf(90);
    const requests = Array.from({ length: 12 }, (_, id) => ({
      id,
      promptIds: [...head, ...piece(between(1, 20))],
    }));
    const alone: ReturnType<typeof idsOf> = {};
    for (const request of requests) Object.assign(alone, idsOf(await run([request], {})));
    for (const batch of [1, 5]) {
      const together = await run(requests, { batch });
      assert.deepEqual(idsOf(together), alone);
      const { promptTokens, sharedTokens } = together.stats;
      // The last token of a prompt counts as the first step of drawing.
      const given = requests.reduce((sum, { promptIds }) => sum + promptIds.length - 1, 0);
      assert.equal(promptTokens + sharedTokens, given);
      assert.ok(sharedTokens >= 11 * 90, `${sharedTokens} of ${given} shared`);
    }
  });

  it('are those of several samples, too', async () => {
    const request = { id: 'one', promptIds: promptOf(100), samples: 6 };
    const together = await run([request], { batch: 4, temperature: 1 });
    assert.equal(together.stats.promptTokens, 99);
    assert.equal(together.stats.sharedTokens, 5 * 99);
    const alone = await run([{ ...request, samples: 1 }], { temperature: 1 });
    assert.equal(alone.stats.sharedTokens, 0);
    assert.deepEqual(idsOf(together)['one #0'], idsOf(alone)['one #0']);
    assert.equal(new Set(together.results.map(({ tokenIds }) => tokenIds.join())).size, 6);
  });
});

describe('results', () => {
  it('come as they are finished, or in the order of the requests', async () => {
    const requests = Array.from({ length: 10 }, (_, i) => ({
      id: i,
      promptIds: promptOf(150 - 14 * i),
      samples: 2,
    }));
    const order = async (ordered: boolean) =>
      (await run(requests, { batch: 6, maxTokens: 3, ordered })).results.map(
        ({ id, sample }) => `${id} ${sample}`,
      );
    const wanted = requests.flatMap(({ id }) => [`${id} 0`, `${id} 1`]);
    assert.deepEqual(await order(true), wanted);
    const free = await order(false);
    assert.notDeepEqual(free, wanted);
    assert.deepEqual(free.sort(), wanted.sort());
  });
});

describe('scores of a file like an evaluation’s', () => {
  it('are those of each request alone; headers and questions are read once', async () => {
    const header = promptOf(120);
    const requests = Array.from({ length: 10 }, (_, question): ScoreRequest[] => {
      const contextIds = [...header, ...piece(between(40, 60))];
      return [0, 1, 2, 3].map((choice) => ({
        id: `${question} ${choice}`,
        contextIds,
        continuationIds: piece(between(1, 9)),
      }));
    }).flat();
    const stats = new RunStats(8);
    const together = await gather(score(engine, requests, { batch: 8, ordered: true, stats }));
    const free = await gather(score(engine, requests, { batch: 8 }));
    assert.deepEqual(free.map(({ id }) => id).sort(), requests.map(({ id }) => id).sort());
    for (const [i, request] of requests.entries()) {
      const [alone] = await gather(score(engine, [request]));
      const { id, isGreedy, tokenLogprobs } = together[i]!;
      assert.deepEqual([id, isGreedy], [alone!.id, alone!.isGreedy]);
      // Only the order of additions differs.
      assertClose(tokenLogprobs, alone!.tokenLogprobs, 1e-4, String(id));
    }
    const fed = ({ contextIds, continuationIds }: ScoreRequest) =>
      contextIds.length + continuationIds.length - 1;
    const given = requests.reduce((sum, request) => sum + fed(request), 0);
    assert.equal(stats.promptTokens + stats.sharedTokens, given);
    assert.ok(stats.promptTokens < given / 5, `${stats.promptTokens} of ${given} computed`);
  });
});
