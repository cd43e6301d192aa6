/** Reference outputs come from strangers: every other form is refused in a sentence. */

import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { InputError } from '../../src/errors.js';
import { openReference } from '../../src/verify/reference-file.js';
import { verifyModel } from '../../src/verify/verify.js';
import { convertGolden, goldenPath, temporaryFolder } from '../support/goldens.js';

const greedy = { tokens: [1], logprobs: [-1] };

/** A file of this content, as text or to be made JSON. */
async function fileOf(content: unknown): Promise<string> {
  const path = join(await temporaryFolder(), 'reference.json');
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('a file of reference outputs', () => {
  it('gives prompts, states and likelihoods as they are written', async () => {
    const reference = await openReference(goldenPath('expected/rg-tiny.json')!, 512);
    const long = reference.prompts.find(({ name }) => name === 'len_17')!;
    assert.equal(long.tokens.length, 17);
    assert.equal(long.states.length, 16);
    assert.deepEqual(long.states.find(({ what }) => what === 'keys')?.slotPositions?.slice(0, 2), [16, 1]);
    assert.deepEqual([reference.ragged.length, reference.likelihoods.length], [4, 6]);
    const { shape } = await reference.read(long.logits!.tensor);
    assert.deepEqual(shape, [17, 512]);
    await reference.close();
  });

  for (const [content, message] of [
    ['{', /is not valid JSON/],
    ['[]', /is not a JSON object/],
    [{}, /holds no reference outputs/],
    [{ prompts: 7 }, /: prompts is not a list\./],
    [{ prompts: [7] }, /: prompts\[0\] is not an object\./],
    [{ prompts: [{ tokens: [] }] }, /: prompts\[0\]\.tokens is not a list of token ids below 512\./],
    [{ prompts: [{ tokens: [512] }] }, /: prompts\[0\]\.tokens is not a list of token ids below 512\./],
    [{ prompts: [{ tokens: [1.5] }] }, /prompts\[0\]\.tokens/],
    [{ prompts: [{ tokens: [1], logits: 'a' }] }, /: prompts\[0\]\.logit_positions is not a list of numbers/],
    [{ prompts: [{ tokens: [1], greedy: { tokens: [1] } }] }, /: prompts\[0\]\.greedy\.logprobs/],
    [{ prompts: [{ tokens: [1], state: 3 }] }, /: prompts\[0\]\.state is not an object/],
    [{ ragged_batch: { prompts: [[1], ['2']], continuations: [greedy, greedy] } }, /ragged_batch\.prompts/],
    [{ ragged_batch: { prompts: [[1]], continuations: [] } }, /not as many continuations as prompts/],
    [{ loglikelihood: [{ context: [], continuation: [1], sum: 0 }] }, /loglikelihood\[0\]\.context/],
    [{ loglikelihood: [{ context: [1], continuation: [1] }] }, /: loglikelihood\[0\]\.sum is not a number/],
    [{ prompts: [{ tokens: [1] }], tensors: '../x.safetensors' }, /must lie beside it/],
    [{ prompts: [{ tokens: [1] }], tensors: 'x.safetensors' }, /x\.safetensors/],
  ] as const) {
    it(`such as ${JSON.stringify(content)} is refused`, async () => {
      const path = await fileOf(content);
      await assert.rejects(openReference(path, 512), (error) => {
        assert.ok(error instanceof InputError, String(error));
        assert.match(error.message, message);
        assert.ok(error.message.startsWith(path) || error.message.includes('x.safetensors'));
        return true;
      });
    });
  }

  for (const [prompt, message] of [
    [{ logits: 'no such tensor', logit_positions: [0] }, /no such tensor/],
    [{ logits: 'len_2.logits', logit_positions: [0] }, /is \[2, 512\]; \[1, 512\] is needed/],
    [{ logits: 'len_2.logits', logit_positions: [0, 9] }, /not ascending positions/],
    [{ logits: 'len_2.logits', logit_positions: [1, 0] }, /not ascending positions/],
    [{ state: { 'blocks.2.keys': 'len_2.state.blocks.2.keys' } }, /not \[slots, 8\] with a position/],
  ] as const) {
    it(`with ${JSON.stringify(prompt)} does not fit itself`, async () => {
      const path = await fileOf({
        prompts: [{ name: 'short', tokens: [2, 238], ...prompt }],
        tensors: 'rg-tiny.safetensors',
      });
      await cp(goldenPath('expected/rg-tiny.safetensors')!, join(path, '..', 'rg-tiny.safetensors'));
      const folder = await convertGolden('rg-tiny/flax-ocdbt-f32');
      await assert.rejects(verifyModel(folder, { threads: 1, against: path }), (error) => {
        assert.ok(error instanceof InputError, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }
});
