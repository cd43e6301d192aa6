/** Tensor names of every layout: what is recognised, what each becomes, and how messages name it in the source's own terms. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openCheckpoint } from '../../../src/checkpoint/open.js';
import { InputError } from '../../../src/errors.js';
import type { LazyTensor } from '../../../src/graph/lazy-tensor.js';
import { collect, memoryTensor } from '../../../src/graph/transform.js';
import { griffinFamily } from '../../../src/models/griffin/family.js';
import { detectLayout, toFlaxNames } from '../../../src/models/griffin/names.js';
import type { NamedTensors } from '../../../src/models/renaming.js';
import { goldenPath } from '../../support/goldens.js';

const tensor = (...shape: number[]) => {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i);
  return memoryTensor('float32', shape, new Uint8Array(values.buffer));
};

const floats = async (found: LazyTensor | undefined) => [...new Float32Array((await collect(found!)).buffer)];

describe('layouts', () => {
  it('are told by names', () => {
    const cases: [string[], string | undefined][] = [
      [['model.layers.0.temporal_block.linear_x.weight'], 'hf'],
      [['blocks.0.recurrent_block.linear_x.kernel', 'embedder.input_embedding'], 'flax'],
      [['params.blocks.0.attention_block.proj_q.kernel'], 'flax'],
      [['blocks.0.recurrent_block.linear_x.weight'], 'torch'],
      [['params.blocks.0.attention_block.proj_q.weight'], 'torch'],
      [['model.layers.0.self_attn.q_proj.weight'], undefined],
      [['backbone.layers.0.mixer.in_proj.weight'], undefined],
      [['blocks.0.norm.kernel'], undefined],
      [[], undefined],
    ];
    for (const [names, layout] of cases) assert.equal(detectLayout(names), layout, names[0]);
  });
});

describe('the golden forms', () => {
  const FORMS = [
    'flax-ocdbt-f32',
    'flax-release-bf16',
    'dmtorch-strided-f32.pt',
    'dmtorch-legacy-bf16.pt',
    'hf-bin-f32',
    'hf-bf16',
  ];

  /** Dtype-free content of a checkpoint by Flax names: shape, and the float32 values. */
  async function named(
    form: string,
  ): Promise<{ layout: string; map: NamedTensors; shapes: Map<string, string> }> {
    const checkpoint = await openCheckpoint(goldenPath(`checkpoints/rg-tiny/${form}`)!);
    try {
      const layout = detectLayout(checkpoint.tensors.keys())!;
      const map = toFlaxNames(layout, checkpoint.tensors);
      const shapes = [...map.tensors].map(([name, { shape }]): [string, string] => [
        name.replace('params.', ''),
        shape.join(','),
      ]);
      return { layout, map, shapes: new Map(shapes.sort()) };
    } finally {
      await checkpoint.close();
    }
  }

  it('have the same 138 names and shapes in every layout', async () => {
    const first = await named(FORMS[0]!);
    assert.equal(first.shapes.size, 6 * 19 + 2 * 11 + 2);
    assert.deepEqual(first.shapes.get('blocks.0.recurrent_block.conv_1d.w'), '4,40');
    assert.deepEqual(first.shapes.get('blocks.2.mlp_block.ffw_up.w'), '2,40,52');
    for (const form of FORMS.slice(1)) {
      const { layout, shapes } = await named(form);
      assert.equal(layout, /^dm/.test(form) ? 'torch' : form.split('-')[0], form);
      assert.deepEqual(shapes, first.shapes, form);
    }
  });

  it('are named in messages as their files do', async () => {
    const paths = [
      'blocks.0.recurrent_block.linear_x.kernel',
      'blocks.0.mlp_block.ffw_up.w',
      'final_norm.scale',
      'blocks.0.recurrent_block.rg_lru.a_gate.b',
    ];
    const spoken = async (form: string) => paths.map((await named(form)).map.sourceName);
    assert.deepEqual(await spoken('flax-release-bf16'), paths);
    assert.deepEqual(
      await spoken('flax-ocdbt-f32'),
      paths.map((path) => `params.${path}`),
    );
    assert.deepEqual(await spoken('dmtorch-legacy-bf16.pt'), [
      'blocks.0.recurrent_block.linear_x.weight',
      ...paths.slice(1),
    ]);
    assert.deepEqual(await spoken('hf-bf16'), [
      'model.layers.0.temporal_block.linear_x.weight',
      'model.layers.0.mlp_block.gate_proj.weight + model.layers.0.mlp_block.up_proj.weight',
      'model.final_norm.weight',
      'model.layers.0.temporal_block.rg_lru.recurrent_gate_bias',
    ]);
  });

  it('of Hugging Face name the tied head where it is stored', async () => {
    assert.deepEqual(
      (await named('hf-bin-f32')).map.tied.map(({ name, path }) => [name, path]),
      [['lm_head.weight', 'embedder.input_embedding']],
    );
    assert.deepEqual((await named('hf-bf16')).map.tied, []);
  });
});

describe('what becomes of a tensor', () => {
  it('of PyTorch: weights are transposed, the rest stays', async () => {
    const { tensors } = toFlaxNames(
      'torch',
      new Map([
        ['params.blocks.0.recurrent_block.linear_x.weight', tensor(2, 3)],
        ['params.blocks.0.recurrent_block.conv_1d.w', tensor(4, 2)],
      ]),
    );
    assert.deepEqual(
      await floats(tensors.get('blocks.0.recurrent_block.linear_x.kernel')),
      [0, 3, 1, 4, 2, 5],
    );
    assert.deepEqual(
      await floats(tensors.get('blocks.0.recurrent_block.conv_1d.w')),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
  });

  it('of Hugging Face: taps in order, gate before up, weights transposed', async () => {
    const layer = 'model.layers.3';
    const { tensors } = toFlaxNames(
      'hf',
      new Map([
        [`${layer}.temporal_block.conv_1d.weight`, tensor(2, 1, 4)],
        [`${layer}.mlp_block.gate_proj.weight`, tensor(2, 3)],
        [`${layer}.mlp_block.up_proj.weight`, tensor(2, 3)],
        [`${layer}.mlp_block.gate_proj.bias`, tensor(2)],
        [`${layer}.mlp_block.up_proj.bias`, tensor(2)],
      ]),
    );
    const at = (name: string) => tensors.get(`blocks.3.${name}`);
    assert.deepEqual(at('recurrent_block.conv_1d.w')!.shape, [4, 2]);
    assert.deepEqual(await floats(at('recurrent_block.conv_1d.w')), [0, 4, 1, 5, 2, 6, 3, 7]);
    assert.deepEqual(at('mlp_block.ffw_up.w')!.shape, [2, 3, 2]);
    const transposed = [0, 3, 1, 4, 2, 5];
    assert.deepEqual(await floats(at('mlp_block.ffw_up.w')), [...transposed, ...transposed]);
    assert.deepEqual(at('mlp_block.ffw_up.b')!.shape, [2, 1, 1, 2]);
    assert.equal(tensors.size, 3);
  });

  it('that no rule knows, or of which a half is missing: it keeps its name, to be listed', () => {
    const odd = ['model.layers.0.mlp_block.gate_proj.weight', 'model.vision.weight', 'model.layers.x.y'];
    const { tensors } = toFlaxNames('hf', new Map(odd.map((name) => [name, tensor(2, 2)])));
    assert.deepEqual([...tensors.keys()], odd);
  });

  it('of another number of axes: it is passed on as it is for the shape check', () => {
    const names = ['temporal_block.linear_x.weight', 'temporal_block.conv_1d.weight'];
    for (const shape of [[], [3], [2, 2, 2], [2, 1, 4, 1]]) {
      const hf = new Map(names.map((name) => [`model.layers.0.${name}`, tensor(...shape)]));
      const torch = new Map([['blocks.0.recurrent_block.linear_x.weight', tensor(...shape)]]);
      for (const { tensors } of [toFlaxNames('hf', hf), toFlaxNames('torch', torch)]) {
        for (const [name, found] of tensors) assert.deepEqual(found.shape, shape, name);
      }
    }
  });

  it('of which the halves differ: the odd one is passed on', () => {
    const halves = new Map([
      ['model.layers.0.mlp_block.gate_proj.weight', tensor(2, 3)],
      ['model.layers.0.mlp_block.up_proj.weight', tensor(2, 4)],
      ['model.layers.0.mlp_block.gate_proj.bias', tensor(2)],
      ['model.layers.0.mlp_block.up_proj.bias', tensor()],
    ]);
    const { tensors } = toFlaxNames('hf', halves);
    assert.deepEqual(
      [...tensors].map(([name, { shape }]) => [name, shape]),
      [
        ['blocks.0.mlp_block.ffw_up.w', [2, 4]],
        ['blocks.0.mlp_block.ffw_up.b', []],
      ],
    );
  });
});

describe('a complex RG-LRU', () => {
  it('is refused by name', () => {
    const name = 'blocks.0.recurrent_block.rg_lru.a_imag_param';
    assert.throws(
      () => griffinFamily.prepare('flax', new Map([[name, tensor(2)]]), {}),
      (error) => {
        assert.ok(error instanceof InputError);
        assert.match(
          error.message,
          /"blocks\.0\.recurrent_block\.rg_lru\.a_imag_param" belongs to a complex RG-LRU/,
        );
        return true;
      },
    );
  });
});
