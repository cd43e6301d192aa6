/** Generation: what a prompt gives depends on itself alone; samples, stops, kept states, and being stopped. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InputError, InterruptedError, UsageError } from '../../src/errors.js';
import type { Engine } from '../../src/runtime/engine.js';
import {
  type GenerateOptions,
  type GenerateRequest,
  generate,
  type ResultEvent,
  type TokenEvent,
} from '../../src/runtime/generate.js';
import { type TokenId, type Tokenizer, tokenId } from '../../src/tokenizer/tokenizer.js';
import { gather } from '../support/gather.js';
import { goldenEngine, loadGolden } from '../support/goldens.js';

const engineOf = () => goldenEngine('rg-tiny/hf-bin-f32');
const golden = await loadGolden('rg-tiny');

/** The golden prompts, of 1 to 100 tokens. */
const REQUESTS = golden.prompts.map(({ name, tokens }): GenerateRequest => ({ id: name, promptIds: tokens }));

/** Two letters for each id: `aa` for 0, `ab` for 1, and so on; stands in for a tokenizer. */
const textOf = (id: number) => String.fromCharCode(97 + Math.floor(id / 26), 97 + (id % 26));
const tokenizer: Tokenizer = {
  vocabSize: 512,
  eosIds: [],
  encode: () => assert.fail('nothing is encoded here'),
  decode: (ids) => [...ids].map(textOf).join(''),
  decoder: () => ({ push: textOf, end: () => '' }),
  piece: textOf,
  idOf: () => undefined,
};

interface Outcome {
  readonly results: ResultEvent[];
  readonly tokens: TokenEvent[];
}

async function run(
  engine: Engine,
  requests: readonly GenerateRequest[],
  options: Partial<GenerateOptions> = {},
): Promise<Outcome> {
  const all = { temperature: 0, maxTokens: 16, seed: 5, ...options };
  const events = await gather(generate(engine, requests, all));
  const results = events.filter((event) => event.kind === 'result');
  const tokens = events.filter((event) => event.kind === 'token');
  // What was told token by token is what the result says.
  for (const { id, index, sample, tokenIds, logprobs, text, tail } of results) {
    const own = tokens.filter((each) => each.id === id && each.index === index && each.sample === sample);
    assert.deepEqual(
      own.map(({ token }) => token),
      tokenIds,
    );
    assert.deepEqual(
      own.map(({ logprob }) => logprob),
      logprobs,
    );
    assert.equal(own.map((each) => each.text).join('') + tail, text);
  }
  return { results, tokens };
}

/** Token ids by request and sample. */
const idsOf = ({ results }: Outcome) =>
  Object.fromEntries(results.map(({ id, sample, tokenIds }) => [`${id} #${sample}`, tokenIds]));

describe('what a prompt gives', () => {
  for (const options of [{ temperature: 0 }, { temperature: 1 }, { temperature: 0.8, topK: 40, topP: 0.9 }]) {
    it(`does not depend on how many run together: ${JSON.stringify(options)}`, async () => {
      const engine = await engineOf();
      const requests = REQUESTS.map((request, i) => ({ ...request, samples: 1 + (i % 3) }));
      const alone = idsOf(await run(engine, requests, options));
      assert.equal(Object.keys(alone).length, 15);
      for (const batch of [2, 3, 8, 20]) {
        assert.deepEqual(idsOf(await run(engine, requests, { ...options, batch })), alone, `batch ${batch}`);
      }
    });
  }

  it('does not depend on what runs beside it, before it or after it', async () => {
    const engine = await engineOf();
    const forwards = idsOf(await run(engine, REQUESTS, { batch: 3 }));
    assert.deepEqual(idsOf(await run(engine, [...REQUESTS].reverse(), { batch: 3 })), forwards);
    for (const request of REQUESTS.slice(0, 3)) {
      const key = `${request.id} #0`;
      assert.deepEqual(idsOf(await run(engine, [request]))[key], forwards[key]);
    }
  });

  it('with texts of different lengths is the same: rows that end are replaced', async () => {
    const engine = await engineOf();
    const plain = idsOf(await run(engine, REQUESTS, { maxTokens: 24 }));
    // Each of the first tokens stops one sequence or another early.
    const stopIds = Object.values(plain).map((ids, i) => ids[(3 * i) % 20]!);
    const alone = await run(engine, REQUESTS, { maxTokens: 24, stopIds });
    const reasons = new Set(alone.results.map(({ tokenIds }) => tokenIds.length));
    assert.ok(reasons.size > 3, 'the lengths should differ');
    for (const batch of [2, 3, 5]) {
      assert.deepEqual(idsOf(await run(engine, REQUESTS, { maxTokens: 24, stopIds, batch })), idsOf(alone));
    }
  });

  it('at temperature 1 depends on the seed, and on nothing else', async () => {
    const engine = await engineOf();
    const requests = REQUESTS.slice(0, 2);
    const one = idsOf(await run(engine, requests, { temperature: 1, seed: 1 }));
    assert.deepEqual(idsOf(await run(engine, requests, { temperature: 1, seed: 1 })), one);
    assert.notDeepEqual(idsOf(await run(engine, requests, { temperature: 1, seed: 2 })), one);
  });

  it('with a top-k beyond the vocabulary is what it is without', async () => {
    const engine = await engineOf();
    const requests = REQUESTS.slice(0, 3);
    const without = idsOf(await run(engine, requests, { temperature: 1, batch: 3 }));
    for (const topK of [512, 600, 2000]) {
      const { results } = await run(engine, requests, { temperature: 1, batch: 3, topK });
      assert.equal(results.length, 3);
      // The order of the candidates, and so the draw, may differ; the probabilities are the model's.
      for (const { logprobs } of results) assert.ok(logprobs.every((logprob) => logprob <= 0));
      if (topK > 1024) assert.deepEqual(idsOf({ results, tokens: [] }), without);
    }
  });
});

describe('samples of one prompt', () => {
  it('differ, and the first is the one that comes alone', async () => {
    const engine = await engineOf();
    const [request] = REQUESTS.slice(4);
    const several = await run(engine, [{ ...request!, samples: 4 }], { temperature: 1, batch: 2 });
    assert.deepEqual(several.results.map(({ sample }) => sample).sort(), [0, 1, 2, 3]);
    assert.equal(new Set(several.results.map(({ tokenIds }) => tokenIds.join())).size, 4);
    const alone = await run(engine, [request!], { temperature: 1 });
    assert.deepEqual(idsOf(alone)[`${request!.id} #0`], idsOf(several)[`${request!.id} #0`]);
  });

  it('are all the same when greedy', async () => {
    const engine = await engineOf();
    const { results } = await run(engine, [{ ...REQUESTS[5]!, samples: 3 }], { batch: 3 });
    for (const { tokenIds } of results)
      assert.deepEqual(tokenIds, golden.prompts[5]!.greedy.tokens.slice(0, 16));
  });
});

describe('the end of a text', () => {
  const [prompt] = golden.prompts.slice(4);
  const request = { id: 'prompt', promptIds: prompt!.tokens };
  const greedy = prompt!.greedy.tokens;
  const whole = greedy.map(textOf).join('');

  it('is a stop id, which is counted and not shown', async () => {
    const engine = await engineOf();
    const stop = greedy[6]!;
    const count = greedy.indexOf(stop) + 1;
    const { results } = await run(engine, [request], {
      maxTokens: 32,
      stopIds: [stop, tokenId(511)],
      tokenizer,
    });
    const { tokenIds, text, finishReason } = results[0]!;
    assert.deepEqual(tokenIds, greedy.slice(0, count));
    assert.deepEqual([text, finishReason], [whole.slice(0, 2 * (count - 1)), 'stop']);
  });

  it('is a stop text, which may begin and end within tokens and is cut off', async () => {
    const engine = await engineOf();
    const stop = whole.slice(9, 14);
    const begins = whole.indexOf(stop);
    const { results } = await run(engine, [request], {
      maxTokens: 32,
      stopTexts: ['nothing', stop],
      tokenizer,
    });
    const { tokenIds, text, finishReason } = results[0]!;
    assert.deepEqual([text, finishReason], [whole.slice(0, begins), 'stop']);
    assert.equal(tokenIds.length, Math.ceil((begins + stop.length) / 2));
  });

  it('shows at last what might have become a stop text', async () => {
    const engine = await engineOf();
    const almost = `${whole.slice(30, 32)}${'!'.repeat(5)}`;
    const { results } = await run(engine, [request], { maxTokens: 16, stopTexts: [almost], tokenizer });
    assert.deepEqual([results[0]!.text, results[0]!.finishReason], [whole.slice(0, 32), 'length']);
    assert.equal(results[0]!.tail, whole.slice(30, 32));
  });

  it('is the number of tokens, of which 0 is one', async () => {
    const engine = await engineOf();
    for (const maxTokens of [0, 1, 5]) {
      const { results } = await run(engine, REQUESTS, { maxTokens, batch: 3, tokenizer });
      assert.equal(results.length, REQUESTS.length);
      for (const { tokenIds, finishReason } of results) {
        assert.deepEqual([tokenIds.length, finishReason], [maxTokens, 'length']);
      }
    }
  });

  it('reports times that make sense', async () => {
    const engine = await engineOf();
    const { results } = await run(engine, [request], { maxTokens: 4 });
    const { prefillMs, decodeMs, tokensPerSecond } = results[0]!.timing;
    assert.ok(prefillMs > 0 && decodeMs > 0);
    assert.equal(tokensPerSecond, 4000 / decodeMs);
  });
});

describe('a kept state', () => {
  it('goes on where the text ended, with or without more prompt', async () => {
    const engine = await engineOf();
    const [{ tokens, greedy }] = golden.prompts.slice(6) as [(typeof golden.prompts)[0]];
    const first = await run(engine, [{ id: 'a', promptIds: tokens }], { maxTokens: 10, keepState: true });
    const { state, tokenIds } = first.results[0]!;
    assert.deepEqual(tokenIds, greedy.tokens.slice(0, 10));
    assert.equal(state!.row.numTokens, tokens.length + 9);
    assert.deepEqual(state!.pendingIds, [greedy.tokens[9]]);

    const onward = await run(engine, [{ id: 'a', promptIds: [], state: state! }], { maxTokens: 22 });
    assert.deepEqual(onward.results[0]!.tokenIds, greedy.tokens.slice(10));

    const more = [tokenId(7), tokenId(8)];
    const continued = await run(engine, [{ id: 'a', promptIds: more, state: state! }], { batch: 2 });
    const anew = await run(engine, [{ id: 'a', promptIds: [...tokens, ...tokenIds, ...more] }]);
    assert.deepEqual(idsOf(continued), idsOf(anew));
  });

  it('is kept by each text of a batch, and none is given where none was asked for', async () => {
    const engine = await engineOf();
    const kept = await run(engine, REQUESTS, { maxTokens: 5, batch: 3, keepState: true });
    for (const [i, { state }] of kept.results.entries()) assert.ok(state, `result ${i}`);
    const requests = kept.results.map(({ id, state }) => ({ id, promptIds: [], state: state! }));
    const onward = idsOf(await run(engine, requests, { maxTokens: 11, batch: 4 }));
    for (const { name, greedy } of golden.prompts)
      assert.deepEqual(onward[`${name} #0`], greedy.tokens.slice(5, 16));
    const plain = await run(engine, REQUESTS.slice(0, 1));
    assert.equal(plain.results[0]!.state, undefined);
  });

  it('after no token at all is that of the prompt', async () => {
    const engine = await engineOf();
    const [request] = REQUESTS.slice(3);
    const { results } = await run(engine, [request!], { maxTokens: 0, keepState: true });
    const { state } = results[0]!;
    assert.equal(state!.row.numTokens, request!.promptIds.length - 1);
    const onward = await run(engine, [{ id: 'x', promptIds: [], state: state! }]);
    assert.deepEqual(onward.results[0]!.tokenIds, golden.prompts[3]!.greedy.tokens.slice(0, 16));
  });
});

describe('what cannot be generated', () => {
  it('is an empty prompt', async () => {
    const engine = await engineOf();
    await assert.rejects(run(engine, [{ id: 'hollow', promptIds: [] }]), (error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.message, 'Prompt "hollow" is empty.');
      return true;
    });
  });

  it('is an id that the model has not', async () => {
    const engine = await engineOf();
    for (const bad of [512, -1, 1.5]) {
      const promptIds = [2, bad, 3] as TokenId[];
      await assert.rejects(run(engine, [{ id: 'bad', promptIds }]), InputError);
    }
  });

  it('and no prompts at all give nothing', async () => {
    const engine = await engineOf();
    assert.deepEqual((await run(engine, [])).results, []);
  });
});

describe('an interrupted generation', () => {
  it('ends with the reason of the signal, between two steps, and leaves an engine that works', async () => {
    const engine = await engineOf();
    const controller = new AbortController();
    const reason = new InterruptedError();
    const options = { temperature: 0, maxTokens: 32, seed: 0, batch: 2, signal: controller.signal };
    const seen: TokenEvent[] = [];
    await assert.rejects(async () => {
      for await (const event of generate(engine, REQUESTS, options)) {
        if (event.kind === 'token') seen.push(event);
        if (seen.length === 4) controller.abort(reason);
      }
    }, reason);
    // The other row's token of the same step may still be told.
    assert.ok(seen.length === 4 || seen.length === 5);
    const { results } = await run(engine, [REQUESTS[1]!]);
    assert.deepEqual(results[0]!.tokenIds, golden.prompts[1]!.greedy.tokens.slice(0, 16));
  });

  it('also ends within a long prompt', async () => {
    const engine = await engineOf();
    const promptIds = Array.from({ length: 5000 }, (_, i) => tokenId(2 + (i % 500)));
    const signal = AbortSignal.abort(new InterruptedError());
    const options = { temperature: 0, maxTokens: 1, seed: 0, signal };
    await assert.rejects(gather(generate(engine, [{ id: 'long', promptIds }], options)), InterruptedError);
  });
});
