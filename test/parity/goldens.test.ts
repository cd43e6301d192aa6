/** Every number of the goldens of every family: what the official implementations compute in float32 (DeepMind's JAX, Hugging Face transformers), and here. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RowState } from '../../src/runtime/batch-state.js';
import type { Engine } from '../../src/runtime/engine.js';
import { score } from '../../src/runtime/score.js';
import { logitsAt, splitRows } from '../support/forwarding.js';
import { gather } from '../support/gather.js';
import { type Golden, type GoldenPrompt, goldenEngine, loadGolden, missing } from '../support/goldens.js';
import { continueGreedily } from '../support/greedy.js';
import { assertClose } from '../support/numbers.js';

/** Expected outputs, and a checkpoint with exactly their weights. */
const MODELS = [
  { expected: 'rg-tiny', checkpoint: 'rg-tiny/flax-ocdbt-f32' },
  { expected: 'rg-tiny-bf16', checkpoint: 'rg-tiny/hf-bf16' },
  { expected: 'griffin-tiny', checkpoint: 'griffin-tiny/dmtorch-f32.pt' },
  { expected: 'hawk-tiny', checkpoint: 'hawk-tiny/dmtorch-f32.pt' },
  { expected: 'mqa-tiny', checkpoint: 'mqa-tiny/dmtorch-f32.pt' },
  { expected: 'gemma-mqa-tiny', checkpoint: 'gemma-mqa-tiny/flax-ocdbt-f32' },
  { expected: 'gemma-mqa-tiny-bf16', checkpoint: 'gemma-mqa-tiny/hf-bf16' },
  { expected: 'gemma-mha-tiny', checkpoint: 'gemma-mha-tiny/hf-f32' },
  // Grouped queries, and a sliding window that most prompts go past.
  { expected: 'mistral-tiny', checkpoint: 'mistral-tiny/hf-sharded-f32' },
  // Frequencies that are kept, blended and divided by the scaling of Llama 3.1, and a tied head.
  { expected: 'llama-tiny', checkpoint: 'llama-tiny/hf-f32' },
  { expected: 'mamba-tiny', checkpoint: 'mamba-tiny/hf-f32' },
];

/** 3.7 times what DeepMind's JAX, its PyTorch and Hugging Face differ among themselves; a third of what the smallest mistake costs. */
const LOGIT_TOLERANCE = 5e-4;
const STATE_TOLERANCE = 1e-4;
const LOGPROB_TOLERANCE = 1e-3;
/** Between two ways of ours to compute the same. */
const SAME_TOLERANCE = 1e-4;

for (const { expected, checkpoint } of MODELS) {
  const skip = missing(`expected/${expected}.json`, `checkpoints/${checkpoint}`);
  describe(`${expected} from ${checkpoint}`, { skip }, () => {
    const setUp = async () => ({
      golden: await loadGolden(expected),
      engine: await goldenEngine(checkpoint),
    });

    it('has the logits of every recorded position', async () => {
      const { golden, engine } = await setUp();
      for (const prompt of golden.prompts) {
        const logits = await logitsAt(engine, prompt.tokens, prompt.logit_positions);
        const wanted = splitRows(golden.arrays.get(prompt.logits)!, prompt.logit_positions.length);
        for (const [i, position] of prompt.logit_positions.entries()) {
          assertClose(logits[i]!, wanted[i]!, LOGIT_TOLERANCE, `${prompt.name}, position ${position}`);
        }
        assert.equal(logits.length, wanted.length);
      }
    });

    it('has the states after every prompt', async () => {
      const { golden, engine } = await setUp();
      for (const prompt of golden.prompts) {
        await logitsAt(engine, prompt.tokens, []);
        await checkState(engine, golden, prompt);
      }
    });

    it('has the same logits and states however the prompt is cut', async () => {
      const { golden, engine } = await setUp();
      for (const { tokens, logit_positions: positions, name } of golden.prompts.slice(-2)) {
        const whole = await logitsAt(engine, tokens, positions);
        const state = await engine.export(0);
        for (const chunk of [1, 2, 3, 5, 7, 16, 64]) {
          const what = `${name} in chunks of ${chunk}`;
          const logits = await logitsAt(engine, tokens, positions, chunk);
          for (const [i, row] of logits.entries()) assertClose(row, whole[i]!, SAME_TOLERANCE, what);
          assertState(await engine.export(0), state, what);
        }
      }
    });

    it('continues every prompt greedily with the same tokens', async () => {
      const { golden, engine } = await setUp();
      const results = await continueGreedily(
        engine,
        golden.prompts.map(({ tokens }) => tokens),
        { batch: 1, maxTokens: 32 },
      );
      for (const [i, { greedy, name }] of golden.prompts.entries()) {
        assert.deepEqual(results[i]!.tokenIds, greedy.tokens, name);
        assertClose(results[i]!.logprobs, greedy.logprobs, LOGPROB_TOLERANCE, name);
      }
    });

    it('continues the rows of a ragged batch as if each were alone', async () => {
      const { golden, engine } = await setUp();
      const { prompts, continuations } = golden.ragged_batch;
      const results = await continueGreedily(engine, prompts, { batch: prompts.length, maxTokens: 32 });
      for (const [i, { tokens, logprobs }] of continuations.entries()) {
        assert.deepEqual(results[i]!.tokenIds, tokens, `row ${i}`);
        assertClose(results[i]!.logprobs, logprobs, LOGPROB_TOLERANCE, `row ${i}`);
      }
    });

    it('has the logits and states of each row of a ragged batch as if it were alone', async () => {
      const { golden, engine } = await setUp();
      const { prompts } = golden.ragged_batch;
      const alone: { logits: Float32Array[]; state: RowState }[] = [];
      for (const tokens of prompts) {
        const logits = await logitsAt(engine, tokens, [...tokens.keys()]);
        alone.push({ logits, state: await engine.export(0) });
      }

      for (const row of prompts.keys()) await engine.clear(row);
      const together: Float32Array[][] = prompts.map(() => []);
      // Calls of 0 to 6 tokens a row: each row is padded now and then, and goes on from a state that padding must not have touched.
      for (let call = 0; prompts.some((prompt, row) => together[row]!.length < prompt.length); call++) {
        const tokens = prompts.map((prompt, row) => {
          const start = together[row]!.length;
          return prompt.slice(start, start + ((3 * row + 5 * call) % 7));
        });
        const asked = tokens.flatMap((ids, row) => ids.map((_, offset) => ({ row, offset })));
        if (asked.length === 0) continue;
        const result = await engine.forward({ firstRow: 0, tokens, asked, candidates: 1, logits: true });
        const rows = splitRows(result.logits!, asked.length);
        for (const [i, { row }] of asked.entries()) together[row]!.push(rows[i]!);
      }
      for (const [row, { logits, state }] of alone.entries()) {
        for (const [i, wanted] of logits.entries()) {
          assertClose(together[row]![i]!, wanted, SAME_TOLERANCE, `row ${row}, token ${i}`);
        }
        assertState(await engine.export(row), state, `row ${row}`);
      }
    });

    it('leaves the state of a row without tokens as it was, to the bit', async () => {
      const { golden, engine } = await setUp();
      const { tokens } = golden.prompts.at(-1)!;
      await logitsAt(engine, tokens, []);
      for (const row of [1, 2]) await engine.clear(row);
      const before = [await engine.export(0), await engine.export(1)];
      const call = { firstRow: 0, asked: [], candidates: 1, logits: false };
      await engine.forward({ ...call, tokens: [[], [], tokens.slice(0, 9)] });
      assert.deepEqual([await engine.export(0), await engine.export(1)], before);
      assert.equal((await engine.export(2)).numTokens, 9);
    });

    for (const options of [{}, { batch: 4, chunk: 5 }]) {
      it(`has the log-likelihoods, scored with ${JSON.stringify(options)}`, async () => {
        const { golden, engine } = await setUp();
        const requests = golden.loglikelihood.map(({ context, continuation }, i) => ({
          id: String(i),
          contextIds: context,
          continuationIds: continuation,
        }));
        const results = await gather(score(engine, requests, { ...options, ordered: true }));
        assert.equal(results.length, requests.length);
        for (const [i, wanted] of golden.loglikelihood.entries()) {
          const { id, logprob, tokenLogprobs, isGreedy, numTokens } = results[i]!;
          const what = `request ${i}`;
          const count = wanted.continuation.length;
          assert.deepEqual(
            { id, isGreedy, numTokens },
            { id: String(i), isGreedy: wanted.is_greedy, numTokens: count },
          );
          assertClose([logprob], [wanted.sum], LOGPROB_TOLERANCE * count, what);
          assertClose(tokenLogprobs, wanted.token_logprobs, LOGPROB_TOLERANCE, what);
        }
      });
    }
  });
}

describe('the window of Hugging Face', () => {
  const checkpoint = 'rg-tiny/hf-bin-f32';
  const skip = missing('expected/rg-tiny.hf-window.json', `checkpoints/${checkpoint}`);

  it('is one key shorter for the same number', { skip }, async () => {
    const golden = await loadGolden('rg-tiny.hf-window');
    const engine = await goldenEngine(checkpoint, { attentionWindow: 15 });
    for (const { name, tokens, logit_positions: positions, logits, greedy } of golden.prompts) {
      const rows = await logitsAt(engine, tokens, positions);
      const wanted = splitRows(golden.arrays.get(logits)!, positions.length);
      for (const [i, row] of rows.entries()) assertClose(row, wanted[i]!, LOGIT_TOLERANCE, name);
      const [result] = await continueGreedily(engine, [tokens], { batch: 1, maxTokens: 32 });
      assert.deepEqual(result!.tokenIds, greedy.tokens, name);
    }
  });
});

function assertState(actual: RowState, expected: RowState, what: string): void {
  assert.equal(actual.numTokens, expected.numTokens, what);
  for (const [input, values] of expected.tensors) {
    assertClose(actual.tensors.get(input)!, values, SAME_TOLERANCE, `${what}, ${input}`);
  }
}

/** Compares row 0 with the recorded state: recurrent and convolution state as they are, rings by the positions in their slots. */
async function checkState(engine: Engine, golden: Golden, prompt: GoldenPrompt): Promise<void> {
  const { numTokens, tensors } = await engine.export(0);
  assert.equal(numTokens, prompt.tokens.length);
  for (const [name, recorded] of Object.entries(prompt.state ?? {})) {
    const [, layer, what] = /^blocks\.(\d+)\.(\w+)$/.exec(name)!;
    const found = (input: string) => tensors.get(`past_key_values.${layer}.${input}`)!;
    const at = `${prompt.name}, ${name}`;
    if (what === 'rg_lru_state' || what === 'conv1d_state') {
      const input = what === 'rg_lru_state' ? 'recurrent_state' : 'conv_state';
      assertClose(found(input), golden.arrays.get(String(recorded))!, STATE_TOLERANCE, at);
    } else if (what === 'keys' || what === 'values') {
      const slots = prompt.state![`blocks.${layer}.slot_positions`] as readonly number[];
      const used = slots.filter((position) => position >= 0);
      assert.equal(used.length, Math.min(numTokens, slots.length), at);
      for (const [slot, position] of used.entries()) assert.equal(position % slots.length, slot, at);
      const wanted = golden.arrays.get(String(recorded))!;
      const size = wanted.length / slots.length;
      assertClose(found(what.slice(0, -1)), wanted.subarray(0, used.length * size), STATE_TOLERANCE, at);
    } else if (what === 'num_tokens') assert.equal(numTokens, recorded, at);
    else assert.equal(what, 'slot_positions', `${at} is not known`);
  }
}
