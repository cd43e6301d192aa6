/** Tensor names of a Mamba: what is recognised, what each becomes, and how messages name it in the source's own terms. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InputError } from '../../../src/errors.js';
import { MODEL_FAMILIES } from '../../../src/models/families.js';
import { mambaFamily } from '../../../src/models/mamba/family.js';
import { detectLayout, toModelNames } from '../../../src/models/mamba/names.js';
import { fails } from '../../support/fails.js';
import { missing } from '../../support/goldens.js';
import {
  assertSpokenOf,
  assertWrongShapesRefused,
  contentOf,
  withTensors,
} from '../../support/named-tensors.js';
import { shapeTensors } from '../../support/shape-tensors.js';

/** The same float32 weights, under both implementations' names. */
const FORMS = ['hf-f32', 'hf-bin-f32', 'state-spaces-f32', 'hf-sharded-f32'];
const TINY_LAYERS = 4;
const TENSORS_OF_A_LAYER = 10;

describe('layouts', () => {
  const cases: [string[], string | undefined][] = [
    [['backbone.embedding.weight', 'backbone.layers.63.mixer.A_log'], 'hf'],
    [['backbone.layers.0.mixer.in_proj.weight'], undefined],
    [['model.layers.0.mixer.A_log'], undefined],
    [['model.layers.0.self_attn.q_proj.weight'], undefined],
    [[], undefined],
  ];
  for (const [names, layout] of cases) {
    it(`${layout ?? 'none'} is told by ${names.at(-1)}`, () => assert.equal(detectLayout(names), layout));
  }
});

describe('the golden forms', () => {
  for (const form of FORMS) {
    const checkpoint = `mamba-tiny/${form}`;
    const skip = missing(`checkpoints/${checkpoint}`);

    it(`are recognised, and by no other family: ${form}`, { skip }, async () => {
      await withTensors(checkpoint, (tensors) => {
        const told = MODEL_FAMILIES.map((family) => family.detectLayout(tensors.keys()));
        assert.deepEqual(told, [undefined, undefined, 'hf']);
      });
    });

    it(`have the same tensors, element for element: ${form}`, { skip }, async () => {
      const content = (each: string) =>
        withTensors(`mamba-tiny/${each}`, (tensors) => contentOf(toModelNames(tensors)));
      const found = await content(form);
      assert.equal(Object.keys(found).length, 2 + TENSORS_OF_A_LAYER * TINY_LAYERS);
      assert.deepEqual(found, await content(FORMS[0]!));
    });

    it(`are named in messages as their files do: ${form}`, { skip }, async () => {
      await withTensors(checkpoint, (tensors) => assertSpokenOf(toModelNames(tensors), tensors));
    });

    if (!['hf-f32', 'state-spaces-f32'].includes(form)) continue;
    it(`are refused by name where a shape is wrong: ${form}`, { skip }, async () => {
      await withTensors(checkpoint, (tensors) => {
        const json = { state_size: 6, conv_kernel: 4, time_step_rank: 5, hidden_size: 24, expand: 2 };
        const modelConfig = { path: 'f.json', json: { ...json, vocab_size: 512, num_hidden_layers: 4 } };
        const tried = assertWrongShapesRefused(mambaFamily, 'hf', tensors, { modelConfig });
        assert.ok(tried > 100, `${tried}`);
      });
    });
  }

  it('name the tied head where it is stored', async () => {
    const tied = (form: string) =>
      withTensors(`mamba-tiny/${form}`, (tensors) =>
        toModelNames(tensors).tied.map(({ name, path }) => [name, path]),
      );
    const head = [['lm_head.weight', 'embedder.input_embedding']];
    assert.deepEqual(await tied('state-spaces-f32'), head);
    assert.deepEqual(await tied('hf-f32'), []);
  });
});

describe('what becomes of a tensor', () => {
  it('that no rule knows: it keeps its name, to be listed', () => {
    const odd = [
      'backbone.layers.0.mixer.norm.weight',
      'backbone.layers.x.norm.weight',
      'backbone.norm_f.bias',
    ];
    const tensors = shapeTensors(Object.fromEntries(odd.map((name) => [name, [2]])));
    assert.deepEqual([...toModelNames(tensors).tensors.keys()], odd);
  });

  it('that is a Mamba-2 block: it is refused by name', () => {
    const tensors = shapeTensors({
      'backbone.layers.0.mixer.A_log': [4],
      'backbone.layers.0.mixer.dt_bias': [4],
    });
    fails(
      () => mambaFamily.prepare('hf', tensors, {}),
      InputError,
      '"backbone.layers.0.mixer.dt_bias" belongs to a Mamba-2, which is not supported; only the first Mamba is.',
    );
  });
});
