/** The small trained models: what DeepMind's code computes with them (scripts/train/expected.py), and here. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { generate } from '../../src/runtime/generate.js';
import { perplexity } from '../../src/runtime/perplexity.js';
import type { TokenId } from '../../src/tokenizer/tokenizer.js';
import { FACTBOOK, factbookModel, heldOutText } from '../support/factbook.js';
import { logitsAt } from '../support/forwarding.js';
import { gather } from '../support/gather.js';
import { assertClose } from '../support/numbers.js';

/** What is recorded of one model. */
interface Expected {
  readonly prompts: readonly {
    readonly prompt: string;
    readonly prompt_ids: readonly TokenId[];
    readonly top_ids: readonly number[];
    readonly top_logits: readonly number[];
    readonly greedy_ids: readonly TokenId[];
    readonly greedy_text: string;
  }[];
  readonly heldout: { readonly tokens: number; readonly log_likelihood: number };
}

const LOGIT_TOLERANCE = 5e-4;
/** A thousandth for each token is allowed; errors of both signs cancel, so the sum is held to far less. */
const LOG_LIKELIHOOD_TOLERANCE = 2e-3;

const recorded = join(FACTBOOK, 'expected.json');
const expected: Record<string, Expected> = existsSync(recorded)
  ? JSON.parse(readFileSync(recorded, 'utf8'))
  : {};

describe('the factbook models', { skip: !existsSync(recorded) && 'expected.json is not there' }, () => {
  for (const [name, model] of Object.entries(expected)) {
    describe(name, () => {
      const open = () => factbookModel(name);

      it('reads each prompt as the same ids, and predicts the same five best tokens', async () => {
        const { engine, tokenizer } = await open();
        for (const { prompt, prompt_ids, top_ids, top_logits } of model.prompts) {
          assert.deepEqual(tokenizer.encode(prompt, { bos: true }), prompt_ids);
          const [logits] = await logitsAt(engine, prompt_ids, [prompt_ids.length - 1]);
          const best = [...logits!.keys()].sort((a, b) => logits![b]! - logits![a]!).slice(0, top_ids.length);
          assert.deepEqual(best, top_ids);
          assertClose(
            best.map((id) => logits![id]!),
            top_logits,
            LOGIT_TOLERANCE,
            prompt.slice(0, 40),
          );
        }
      });

      it('continues each prompt with the same text', async () => {
        const { engine, tokenizer } = await open();
        for (const { prompt, prompt_ids, greedy_ids, greedy_text } of model.prompts) {
          const request = { id: 'prompt', promptIds: prompt_ids };
          const options = { temperature: 0, maxTokens: greedy_ids.length, seed: 0, tokenizer };
          const events = await gather(generate(engine, [request], options));
          const result = events.find((event) => event.kind === 'result')!;
          assert.deepEqual(result.tokenIds, greedy_ids, prompt);
          assert.equal(result.text, greedy_text, prompt);
        }
      });

      it('finds the held-out text as likely', async () => {
        const { engine, tokenizer } = await open();
        const { tokens, log_likelihood } = model.heldout;
        const ids = tokenizer.encode(heldOutText(), { bos: false }).slice(0, tokens);
        const result = await perplexity(engine, ids, tokenizer.bosId!);
        assert.equal(result.numTokens, tokens);
        assertClose([result.logprob], [log_likelihood], LOG_LIKELIHOOD_TOLERANCE, name);
      });
    });
  }
});
