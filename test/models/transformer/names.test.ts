/** Tensor names of every layout of a transformer: what is recognised, what each becomes, and how messages name it in the source's own terms. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LazyTensor } from '../../../src/graph/lazy-tensor.js';
import { MODEL_FAMILIES } from '../../../src/models/families.js';
import { transformerFamily } from '../../../src/models/transformer/family.js';
import { detectLayout, toBlockNames } from '../../../src/models/transformer/names.js';
import { publishedConfig } from '../../../src/models/transformer/published-config.js';
import { missing } from '../../support/goldens.js';
import {
  assertSpokenOf,
  assertWrongShapesRefused,
  contentOf,
  withTensors,
} from '../../support/named-tensors.js';
import { shapeTensors } from '../../support/shape-tensors.js';
import { TINY } from './known-configs.js';

/** The same float32 weights in every layout that there is of them. */
const FORMS: Readonly<Record<string, readonly string[]>> = {
  'gemma-mqa-tiny': ['flax-ocdbt-f32', 'flax-nested-f32', 'torch-f32.ckpt', 'hf-f32', 'hf-bin-f32'],
  'gemma-mha-tiny': ['flax-ocdbt-f32', 'torch-f32.ckpt', 'hf-f32', 'hf-bin-f32'],
  'mistral-tiny': ['hf-sharded-f32', 'hf-f32', 'hf-bin-f32'],
};

const layoutOf = (form: string) => /^(flax|torch|hf)/.exec(form)![1] as 'flax' | 'torch' | 'hf';
const GEMMA = TINY['gemma-mqa-tiny']!;

describe('layouts', () => {
  const cases: [string[], string | undefined][] = [
    [['model.norm.weight', 'model.layers.17.self_attn.q_proj.weight'], 'hf'],
    [['freqs_cis', 'model.layers.0.self_attn.qkv_proj.weight'], 'torch'],
    [['transformer/layer_0/attn/q_einsum.w'], 'flax'],
    [['transformer/layer_0/attn/qkv_einsum.w'], 'flax'],
    [['transformer.layer_0.attn.q_einsum.w'], 'flax'],
    [['params.transformer/layer_3/attn/qkv_einsum'], 'flax'],
    [['layer_0.attn.q_einsum'], 'flax'],
    [['model.layers.2.temporal_block.q_proj.weight'], undefined],
    [['blocks.0.attention_block.proj_q.kernel'], undefined],
    [['language_model.model.layers.0.self_attn.q_proj.weight'], undefined],
    [['model.decoder.layers.0.self_attn.q_proj.weight'], undefined],
    [['backbone.layers.0.mixer.A_log'], undefined],
    [[], undefined],
  ];
  for (const [names, layout] of cases) {
    it(`${layout ?? 'none'} is told by ${names.at(-1)}`, () => assert.equal(detectLayout(names), layout));
  }

  for (const checkpoint of [
    'rg-tiny/flax-ocdbt-f32',
    'rg-tiny/dmtorch-bf16.pt',
    'rg-tiny/hf-bf16',
    'hawk-tiny/dmtorch-f32.pt',
  ]) {
    it(`none is told by a Griffin's: ${checkpoint}`, async () => {
      await withTensors(checkpoint, (tensors) => assert.equal(detectLayout(tensors.keys()), undefined));
    });
  }
});

for (const [model, forms] of Object.entries(FORMS)) {
  const config = TINY[model]!;
  const inputs = { modelConfig: { path: 'f.json', json: publishedConfig(config) } };
  const name = (form: string, tensors: ReadonlyMap<string, LazyTensor>) =>
    toBlockNames(layoutOf(form), tensors, config);

  describe(`the golden forms of ${model}`, () => {
    for (const form of forms) {
      const checkpoint = `${model}/${form}`;
      const skip = missing(`checkpoints/${checkpoint}`);

      it(`are recognised, and by no other family: ${form}`, { skip }, async () => {
        await withTensors(checkpoint, (tensors) => {
          const told = MODEL_FAMILIES.map((family) => family.detectLayout(tensors.keys()));
          assert.deepEqual(told, [undefined, layoutOf(form), undefined]);
        });
      });

      it(`have the same tensors, element for element: ${form}`, { skip }, async () => {
        const content = (each: string) =>
          withTensors(`${model}/${each}`, (tensors) => contentOf(name(each, tensors)));
        const found = await content(form);
        assert.equal(Object.keys(found).length, 2 + 8 * 3 + (config.tieWordEmbeddings ? 0 : 1));
        assert.deepEqual(found, await content(forms[0]!));
      });

      it(`are named in messages as their files do: ${form}`, { skip }, async () => {
        await withTensors(checkpoint, (tensors) => assertSpokenOf(name(form, tensors), tensors));
      });

      const isFirst = forms.find((each) => layoutOf(each) === layoutOf(form)) === form;
      if (!isFirst) continue;
      it(`are refused by name where a shape is wrong: ${form}`, { skip }, async () => {
        await withTensors(checkpoint, (tensors) => {
          const learnt = new Map([...tensors].filter(([each]) => !/freqs_cis/.test(each)));
          const tried = assertWrongShapesRefused(transformerFamily, layoutOf(form), learnt, inputs);
          assert.ok(tried > 100, `${tried}`);
        });
      });
    }
  });
}

describe('names in messages', () => {
  const spoken = (layout: 'hf' | 'torch' | 'flax', names: string[], path: string) =>
    toBlockNames(
      layout,
      shapeTensors(Object.fromEntries(names.map((each) => [each, [2]]))),
      GEMMA,
    ).sourceName(path);
  const q = 'blocks.7.attention_block.proj_q.kernel';

  it('are those of the file, with its slashes and its w', () => {
    for (const name of [
      'transformer/layer_7/attn/q_einsum.w',
      'transformer/layer_7/attn/qkv_einsum.w',
      'layer_7.attn.q_einsum',
    ]) {
      assert.equal(spoken('flax', [name], q), name);
    }
    assert.equal(spoken('torch', [], q), 'model.layers.7.self_attn.qkv_proj.weight');
    assert.equal(spoken('hf', [], q), 'model.layers.7.self_attn.q_proj.weight');
  });

  it('of what is made of two tensors are both', () => {
    assert.equal(
      spoken('hf', [], 'blocks.7.mlp_block.ffw_up.w'),
      'model.layers.7.mlp.gate_proj.weight + model.layers.7.mlp.up_proj.weight',
    );
  });

  it('of what is missing are those that DeepMind uses', () => {
    assert.equal(spoken('flax', [], q), 'layer_7.attn.q_einsum');
    assert.equal(spoken('flax', [], 'no.such.path'), 'no.such.path');
  });
});

describe('what becomes of a tensor', () => {
  const named = (layout: 'hf' | 'torch' | 'flax', ...names: string[]) => [
    ...toBlockNames(
      layout,
      shapeTensors(Object.fromEntries(names.map((each) => [each, [2]]))),
      GEMMA,
    ).tensors.keys(),
  ];

  it('that no rule knows, such as those of Gemma 2: it keeps its name, to be listed', () => {
    const odd = {
      hf: [
        'model.layers.0.post_feedforward_layernorm.weight',
        'model.layers.0.mlp.gate_proj.weight',
        'model.layers.x.y',
      ],
      torch: ['model.layers.0.post_feedforward_layernorm.weight', 'embedder.weight_scaler'],
      flax: [
        'transformer/layer_0/post_attention_norm.scale',
        'params.transformer.layer_0.post_ffw_norm.scale',
      ],
    };
    for (const [layout, names] of Object.entries(odd)) {
      assert.deepEqual(named(layout as keyof typeof odd, ...names), names);
    }
  });

  it('that is a table of angles: it is not learnt, and left out', () => {
    assert.deepEqual(named('torch', 'freqs_cis', 'model.freqs_cis'), []);
    assert.deepEqual(
      named('hf', 'model.layers.0.self_attn.rotary_emb.inv_freq', 'model.rotary_emb.inv_freq'),
      [],
    );
  });

  it('that is stored under two spellings of one name: the one too many is left, to be listed', () => {
    const twice = ['layer_0.mlp.linear', 'transformer/layer_0/mlp/linear.w'];
    assert.deepEqual(named('flax', ...twice), ['blocks.0.mlp_block.ffw_down.kernel', twice[0]]);
  });

  it('that is a head: of a tied model it must equal the embedding, of others it is a weight', () => {
    const head = shapeTensors({ 'lm_head.weight': [2, 2] });
    const tied = toBlockNames('hf', head, GEMMA);
    assert.deepEqual(
      [[...tied.tensors], tied.tied.map(({ name, path }) => [name, path])],
      [[], [['lm_head.weight', 'embedder.input_embedding']]],
    );
    const untied = toBlockNames('hf', head, TINY['mistral-tiny']!);
    assert.deepEqual([[...untied.tensors.keys()], untied.tied], [['lm_head.output_embedding'], []]);
  });
});
