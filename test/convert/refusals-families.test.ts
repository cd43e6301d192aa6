/** Transformers and Mambas that cannot be converted, in every layout: what is said of them, and that nothing is left behind. */

import assert from 'node:assert/strict';
import { copyFile, cp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { NamedTensor } from '../../src/checkpoint/safetensors-writer.js';
import type { ConvertOptions } from '../../src/convert/convert.js';
import { convert } from '../../src/convert/convert.js';
import { InputError, UsageError } from '../../src/errors.js';
import { type ChangedGolden, changedGolden } from '../support/changed-golden.js';
import { goldenOptions, goldenPath, temporaryFolder } from '../support/goldens.js';
import { refused } from './refused.js';

/** A golden of each layout, and names in it; `said` is how a message calls the missing one where it cannot know how the file would spell it. */
const LAYOUTS: Readonly<Record<string, { missing: string; said?: string; wrong: string; extra: string }>> = {
  'gemma-mha-tiny/hf-f32': {
    missing: 'model.layers.1.self_attn.k_proj.weight',
    wrong: 'model.layers.1.mlp.down_proj.weight',
    extra: 'model.layers.0.post_feedforward_layernorm.weight',
  },
  'gemma-mqa-tiny/torch-f32.ckpt': {
    missing: 'model.layers.1.self_attn.o_proj.weight',
    wrong: 'model.layers.1.mlp.down_proj.weight',
    extra: 'model.layers.0.post_feedforward_layernorm.weight',
  },
  'gemma-mqa-tiny/flax-ocdbt-f32': {
    missing: 'transformer/layer_1/mlp/gating_einsum.w',
    said: 'layer_1.mlp.gating_einsum',
    wrong: 'transformer/layer_1/mlp/linear.w',
    extra: 'transformer/layer_0/post_ffw_norm.scale',
  },
  'mistral-tiny/hf-sharded-f32': {
    missing: 'lm_head.weight',
    wrong: 'model.layers.1.mlp.down_proj.weight',
    extra: 'model.layers.0.self_attn.q_proj.bias',
  },
  'mamba-tiny/state-spaces-f32': {
    missing: 'backbone.layers.1.mixer.x_proj.weight',
    wrong: 'backbone.layers.1.mixer.out_proj.weight',
    extra: 'backbone.layers.0.mixer.in_proj.bias',
  },
};

const zeros = (name: string, ...shape: number[]): NamedTensor => [
  name,
  'float32',
  shape,
  new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)),
];

/** A changed golden, and what else conversion must be told of it. */
async function changed(
  golden: string,
  change: (made: ChangedGolden) => void,
): Promise<Pick<ConvertOptions, 'modelConfig'> & { readonly checkpoint: string }> {
  return { ...goldenOptions(golden), checkpoint: await changedGolden(golden, change) };
}

describe('tensors', () => {
  for (const [golden, { missing, said, wrong, extra }] of Object.entries(LAYOUTS)) {
    it(`that are missing, of another shape, or too many are listed in one error: ${golden}`, async () => {
      const options = await changed(golden, ({ tensors }) => {
        assert.ok(tensors.delete(missing));
        const [rows, columns] = tensors.get(wrong)![2];
        tensors.set(wrong, zeros(wrong, rows! + 1, columns!));
        tensors.set(extra, zeros(extra, 1));
      });
      const error = await refused(options, InputError);
      const [first, ...faults] = error.message.split('\n');
      assert.equal(first, `${options.checkpoint} does not hold the model that its config describes:`);
      assert.equal(faults.length, 3, error.message);
      assert.equal(faults[0], `  missing: "${said ?? missing}"`);
      assert.ok(faults[1]!.startsWith(`  unfit: "${wrong}" has shape [`), faults[1]);
      assert.equal(faults[2], `  not part of this model: "${extra}"`);
    });
  }

  it('that hold several of the model, one below the other, are named', async () => {
    const name = 'model.layers.1.self_attn.qkv_proj.weight';
    const options = await changed('gemma-mqa-tiny/torch-f32.ckpt', ({ tensors }) => {
      tensors.set(name, zeros(name, 69, 42));
    });
    const [, ...faults] = (await refused(options, InputError)).message.split('\n');
    for (const fault of faults) assert.ok(fault.startsWith(`  unfit: "${name}" has shape [69, 42]`), fault);
  });

  it('of numbers that are not floating are listed: quantized files of gemma_pytorch', async () => {
    const [name, scaler] = ['embedder.weight', 'embedder.weight_scaler'];
    const options = await changed('gemma-mqa-tiny/torch-f32.ckpt', ({ tensors }) => {
      tensors.set(name, [name, 'int8', [512, 42], new Uint8Array(512 * 42)]);
      tensors.set(scaler, zeros(scaler, 512));
    });
    const { message } = await refused(options, InputError);
    assert.match(
      message,
      /unfit: "embedder\.weight" holds int8; .*\n {2}not part of this model: "embedder\.weight_scaler"$/,
    );
  });

  const heads = [
    ['gemma-mha-tiny/hf-f32', 'model.embed_tokens.weight'],
    ['mamba-tiny/state-spaces-f32', 'backbone.embedding.weight'],
    ['mamba-tiny/hf-f32', 'backbone.embeddings.weight'],
  ] as const;
  for (const [golden, embedding] of heads) {
    it(`that should be tied but differ are refused: ${golden}`, async () => {
      const head = (flip: number) =>
        changed(golden, ({ tensors }) => {
          const [, dtype, shape, data] = tensors.get(embedding)!;
          const copy = Uint8Array.from(data);
          copy[copy.length - 1]! ^= flip;
          tensors.set('lm_head.weight', ['lm_head.weight', dtype, shape, copy]);
        });
      const options = await head(1);
      assert.equal(
        (await refused(options, InputError)).message,
        `${options.checkpoint}: "lm_head.weight" differs from "${embedding}"; this model has one matrix for both.`,
      );
      const out = join(await temporaryFolder(), 'model');
      assert.equal((await convert({ ...(await head(0)), out })).written, true);
    });
  }
});

describe('config.json', () => {
  const cases: [golden: string, change: Record<string, unknown>, message: RegExp][] = [
    [
      'gemma-mha-tiny/hf-f32',
      { num_hidden_layers: 4, hidden_size: 48 },
      /hidden_size is 48 in \S+config\.json but 44 in the tensors' shapes; num_hidden_layers is 4 in \S+config\.json but 3 in the tensors' shapes\.$/,
    ],
    [
      'gemma-mha-tiny/hf-f32',
      { head_dim: 16 },
      /unfit: "model\.layers\.0\.self_attn\.q_proj\.weight" has shape \[44, 54\] \(stored as \[54, 44\]\); the config needs \[44, 48\]/,
    ],
    [
      'gemma-mha-tiny/hf-f32',
      { model_type: 'gemma2' },
      /^\S+config\.json has model_type "gemma2"; only "gemma" or "mistral" or "llama" is supported\.$/,
    ],
    [
      'mistral-tiny/hf-sharded-f32',
      { tie_word_embeddings: true },
      /: "lm_head\.weight" differs from "model\.embed_tokens\.weight"/,
    ],
    ['llama-tiny/hf-f32', { tie_word_embeddings: false }, /:\n {2}missing: "lm_head\.weight"$/],
    [
      'llama-tiny/hf-f32',
      { num_key_value_heads: 3 },
      /^The config's num_key_value_heads 3 does not divide num_attention_heads 4\.$/,
    ],
    [
      'mamba-tiny/hf-f32',
      { state_size: 16 },
      /state_size is 16 in \S+config\.json but 6 in the tensors' shapes\.$/,
    ],
    [
      'mamba-tiny/hf-f32',
      { model_type: 'mamba2' },
      /^\S+config\.json has model_type "mamba2"; only "mamba" is supported\.$/,
    ],
    [
      'mamba-tiny/state-spaces-f32',
      { ssm_cfg: { layer: 'Mamba2' } },
      /^\S+config\.json, ssm_cfg, has layer "Mamba2"; only "Mamba1" is supported\.$/,
    ],
  ];
  for (const [golden, change, message] of cases) {
    it(`that does not suit the tensors is refused: ${golden} with ${JSON.stringify(change)}`, async () => {
      const options = await changed(golden, ({ config }) => Object.assign(config, change));
      assert.match((await refused(options, InputError)).message, message);
    });
  }

  const alone = async (golden: string, file: string) => {
    const folder = await temporaryFolder();
    await copyFile(join(goldenPath(`checkpoints/${golden}`)!, file), join(folder, file));
    return folder;
  };

  it('that is missing leaves something unsaid, which is named with a hint', async () => {
    const checkpoint = await alone('gemma-mha-tiny/hf-f32', 'model.safetensors');
    const error = await refused({ checkpoint }, UsageError);
    assert.match(
      error.message,
      /^The checkpoint does not say its model_type, num_attention_heads, .*, tie_word_embeddings\.$/,
    );
    assert.match(error.hint!, /in the config\.json beside it\. Name a published model with --preset /);
  });

  it('is not missed by a Mamba, whose shapes say it all', async () => {
    const checkpoint = await alone('mamba-tiny/hf-f32', 'model.safetensors');
    const out = join(await temporaryFolder(), 'model');
    assert.equal((await convert({ checkpoint, out })).config.time_step_rank, 5);
  });

  it('cannot be found beside a file of gemma_pytorch, which needs a --model-config or a preset', async () => {
    const checkpoint = goldenPath('checkpoints/gemma-mqa-tiny/torch-f32.ckpt')!;
    const error = await refused({ checkpoint }, UsageError);
    assert.equal(
      error.message,
      'The checkpoint does not say its num_attention_heads, num_key_value_heads, head_dim.',
    );
    assert.match(error.hint!, /--preset \(gemma-2b, .*--model-config FILE\.json/);
    const { message } = await refused({ checkpoint, preset: 'gemma-2b' }, InputError);
    assert.match(message, /hidden_size is 42 in the tensors' shapes but 2048 in preset gemma-2b; /);
  });

  it('cannot give a Mamba a window', async () => {
    const checkpoint = goldenPath('checkpoints/mamba-tiny/hf-f32')!;
    const error = await refused({ checkpoint, attentionWindow: 9 }, UsageError);
    assert.equal(error.message, 'A Mamba has no attention: leave out --attention-window.');
  });
});

describe('a checkpoint', () => {
  it('of Mamba-2 blocks is refused, with or without a config', async () => {
    const name = 'backbone.layers.0.mixer.dt_bias';
    const options = await changed('mamba-tiny/hf-f32', ({ tensors, config }) => {
      tensors.delete('backbone.layers.0.mixer.x_proj.weight');
      tensors.set(name, zeros(name, 4));
      config.model_type = 'mamba2';
    });
    assert.match((await refused(options, InputError)).message, /config\.json has model_type "mamba2"/);
    await rm(join(options.checkpoint, 'config.json'));
    const { message } = await refused(options, InputError);
    assert.equal(message, `"${name}" belongs to a Mamba-2, which is not supported; only the first Mamba is.`);
  });

  const files: [golden: string, file: string][] = [
    ['gemma-mqa-tiny/torch-f32.ckpt', ''],
    ['gemma-mha-tiny/hf-f32', 'model.safetensors'],
    ['mistral-tiny/hf-sharded-f32', 'model-00003-of-00004.safetensors'],
    ['mamba-tiny/state-spaces-f32', 'pytorch_model.bin'],
    ['gemma-mqa-tiny/flax-ocdbt-f32', 'manifest.ocdbt'],
    ['gemma-mqa-tiny/flax-nested-f32', 'transformer.layer_1.mlp.linear/0.0'],
  ];
  for (const [golden, file] of files) {
    it(`that is cut off is refused by its path: ${golden}`, async () => {
      const checkpoint = join(await temporaryFolder(), golden.split('/')[1]!);
      await cp(goldenPath(`checkpoints/${golden}`)!, checkpoint, { recursive: true });
      const damaged = join(checkpoint, file);
      await truncate(damaged, (await readFile(damaged)).length - 9);
      const { message } = await refused({ ...goldenOptions(golden), checkpoint }, InputError);
      assert.ok(message.includes(checkpoint), message);
      assert.match(message, /^[^\n]+\.$/);
    });
  }

  it('of which a file is missing is refused by its name', async () => {
    const checkpoint = join(await temporaryFolder(), 'mistral');
    await cp(goldenPath('checkpoints/mistral-tiny/hf-sharded-f32')!, checkpoint, { recursive: true });
    await rm(join(checkpoint, 'model-00002-of-00004.safetensors'));
    assert.match((await refused({ checkpoint }, InputError)).message, /model-00002-of-00004\.safetensors/);
    await writeFile(join(checkpoint, 'model.safetensors.index.json'), '{"weight_map": 7}');
    assert.match((await refused({ checkpoint }, InputError)).message, /model\.safetensors\.index\.json/);
  });

  it('of other names than --from says is refused', async () => {
    const checkpoint = await changedGolden('gemma-mqa-tiny/flax-ocdbt-f32');
    const { message } = await refused({ checkpoint, from: 'hf' }, InputError);
    assert.equal(message, `${checkpoint} has the tensor names of layout flax, not hf.`);
  });

  it('does not take the preset of another family', async () => {
    const checkpoint = goldenPath('checkpoints/gemma-mqa-tiny/hf-bf16')!;
    const error = await refused({ checkpoint, preset: 'mamba-130m' }, UsageError);
    assert.equal(
      error.message,
      `"mamba-130m" is a preset of the family mamba, and ${checkpoint} is of the family transformer.`,
    );
    assert.match(error.hint!, /^Presets of transformer: gemma-2b, /);
  });
});
