/** Where a Mamba's config comes from: presets, config.json of Hugging Face and of state-spaces, shapes; and what is said where it cannot be. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { openModel } from '../../../src/convert/open-model.js';
import { InputError, UsageError } from '../../../src/errors.js';
import { totalElements } from '../../../src/graph/dtype.js';
import { publishedConfig } from '../../../src/models/config.js';
import type { ConfigInputs } from '../../../src/models/family.js';
import { FIELDS, type MambaConfig } from '../../../src/models/mamba/config.js';
import {
  configFileSource,
  inferredSource,
  modelConfigSource,
} from '../../../src/models/mamba/config-sources.js';
import { mambaFamily } from '../../../src/models/mamba/family.js';
import { presetSource } from '../../../src/models/mamba/presets.js';
import { fails } from '../../support/fails.js';
import { goldenPath, missing } from '../../support/goldens.js';
import { shapeTensors } from '../../support/shape-tensors.js';

type Json = Record<string, unknown>;

const json = (path: string) => JSON.parse(readFileSync(goldenPath(path)!, 'utf8')) as Json;
const read = (file: Json) => configFileSource(file, 'config.json').values;
const written = (value: unknown) => JSON.parse(JSON.stringify(value)) as Json;

/** mamba-tiny, as the script that made it describes it. */
const TINY: MambaConfig = {
  vocabSize: 512,
  hiddenSize: 24,
  intermediateSize: 48,
  stateSize: 6,
  convKernel: 4,
  timeStepRank: 5,
  numHiddenLayers: 4,
  layerNormEpsilon: 1e-5,
};

/** state-spaces/mamba-130m; the rows of its embedding are padded to 50280. */
const STATE_SPACES = {
  d_model: 768,
  n_layer: 24,
  vocab_size: 50277,
  ssm_cfg: {},
  rms_norm: true,
  residual_in_fp32: true,
  fused_add_norm: true,
  pad_vocab_size_multiple: 8,
};

/** state-spaces/mamba-130m-hf, which keeps fields of the other. */
const HUGGING_FACE = {
  ...STATE_SPACES,
  architectures: ['MambaForCausalLM'],
  conv_kernel: 4,
  d_inner: 1536,
  expand: 2,
  hidden_act: 'silu',
  hidden_size: 768,
  intermediate_size: 1536,
  layer_norm_epsilon: 1e-5,
  model_type: 'mamba',
  num_hidden_layers: 24,
  state_size: 16,
  time_step_rank: 48,
  use_bias: false,
  use_conv_bias: true,
  vocab_size: 50280,
};

/** The tensors of a Mamba's first layer that tell its sizes, and one of its last, under the names of state-spaces. */
function shapesOf(c: MambaConfig) {
  const [layer, channels] = ['backbone.layers.0.mixer', c.intermediateSize];
  return shapeTensors({
    'backbone.embedding.weight': [c.vocabSize, c.hiddenSize],
    [`${layer}.A_log`]: [channels, c.stateSize],
    [`${layer}.conv1d.weight`]: [channels, 1, c.convKernel],
    [`${layer}.dt_proj.weight`]: [channels, c.timeStepRank],
    [`backbone.layers.${c.numHiddenLayers - 1}.norm.weight`]: [c.hiddenSize],
  });
}

/** The config that the family settles on, in the field names of files. */
const settle = (tensors: MambaConfig, inputs: ConfigInputs = {}) =>
  mambaFamily.prepare('hf', shapesOf(tensors), inputs).config;
const file = (content: Json, path = 'config.json') => ({ path, json: content });

describe('presets', () => {
  // What transformers 5.23 counts in models of the released configs (torch.device("meta")).
  const SIZES = {
    'mamba-130m': 129_135_360,
    'mamba-370m': 371_516_416,
    'mamba-790m': 793_204_224,
    'mamba-1.4b': 1_372_178_432,
    'mamba-2.8b': 2_768_345_600,
  };
  for (const [preset, size] of Object.entries(SIZES)) {
    it(`have the published size: ${preset}`, async () => {
      const { checkpoint, model } = await openModel({ randomSeed: 0 }, { preset });
      assert.equal(totalElements(checkpoint.tensors.values()), size);
      assert.equal(model.family, 'mamba');
    });
  }
  it('are all there', () => assert.deepEqual(mambaFamily.presets, Object.keys(SIZES)));

  it('say what the released config.json does', () => {
    assert.deepEqual(presetSource('mamba-130m').values, read(HUGGING_FACE));
  });

  it('give way to another vocabulary', async () => {
    const preset = 'mamba-130m';
    const padded = { ...(presetSource(preset).values as MambaConfig), vocabSize: 50_288 };
    assert.equal(settle(padded, { preset }).vocab_size, 50_288);
    const random = mambaFamily.untrained({ preset, modelConfig: file({ vocab_size: 512 }) });
    assert.equal(random.prepare(new Map()).vocabSize, 512);
  });

  it('that do not exist are refused with those that do', () => {
    for (const name of ['mamba-3b', 'constructor', '__proto__']) {
      const error = fails(() => presetSource(name), UsageError, `There is no preset "${name}".`);
      assert.equal(error.hint, 'Presets: mamba-130m, mamba-370m, mamba-790m, mamba-1.4b, mamba-2.8b.');
    }
  });
});

describe('config.json', () => {
  // Of transformers 5, and of 4.39, whose files have fields of state-spaces too.
  for (const form of ['hf-f32', 'hf-bin-f32', 'hf-sharded-f32']) {
    const path = `checkpoints/mamba-tiny/${form}/config.json`;
    it(`of ${form} says what the model was made with`, { skip: missing(path) }, () => {
      assert.deepEqual(read(json(path)), TINY);
    });
  }

  it('of state-spaces says it too, but for the rows of the embedding and the epsilon', () => {
    const { vocabSize: _, layerNormEpsilon: __, ...said } = TINY;
    assert.deepEqual(read(json('checkpoints/mamba-tiny/state-spaces-f32/config.json')), said);
  });

  it('of state-spaces leaves to the shapes what it does not say', () => {
    assert.deepEqual(read(STATE_SPACES), { hiddenSize: 768, numHiddenLayers: 24 });
    const tensors = presetSource('mamba-130m').values as MambaConfig;
    const { vocab_size, ...config } = settle(tensors, { huggingFace: file(STATE_SPACES) });
    assert.equal(vocab_size, 50_280);
    assert.deepEqual({ vocab_size, ...config }, publishedConfig(tensors));
  });

  it('says the width of the recurrence by a factor, and its rank by "auto"', () => {
    const { intermediate_size: _, ...rest } = HUGGING_FACE;
    assert.equal(read({ ...rest, expand: 3 }).intermediateSize, 2304);
    assert.equal(read({ ...rest, time_step_rank: 'auto' }).timeStepRank, undefined);
    assert.equal(read({ ...STATE_SPACES, ssm_cfg: { expand: 3 } }).intermediateSize, 2304);
    assert.equal(read({ ...STATE_SPACES, ssm_cfg: { dt_rank: 'auto', d_state: 8 } }).stateSize, 8);
  });

  const refused: [Json, Json, string][] = [
    [HUGGING_FACE, { model_type: 'mamba2' }, ' has model_type "mamba2"; only "mamba" is supported.'],
    [
      HUGGING_FACE,
      { model_type: 'falcon_mamba' },
      ' has model_type "falcon_mamba"; only "mamba" is supported.',
    ],
    [HUGGING_FACE, { use_bias: true }, ' has use_bias true; only false is supported.'],
    [HUGGING_FACE, { use_conv_bias: false }, ' has use_conv_bias false; only true is supported.'],
    [HUGGING_FACE, { hidden_act: 'relu' }, ' has hidden_act "relu"; only "silu" is supported.'],
    [HUGGING_FACE, { tie_word_embeddings: false }, ' has tie_word_embeddings false; only true is supported.'],
    [HUGGING_FACE, { state_size: '16' }, ' has state_size "16"; it must be a number.'],
    [
      STATE_SPACES,
      { ssm_cfg: { layer: 'Mamba2' } },
      ', ssm_cfg, has layer "Mamba2"; only "Mamba1" is supported.',
    ],
    [STATE_SPACES, { ssm_cfg: { bias: true } }, ', ssm_cfg, has bias true; only false is supported.'],
    [
      STATE_SPACES,
      { ssm_cfg: { conv_bias: false } },
      ', ssm_cfg, has conv_bias false; only true is supported.',
    ],
    [STATE_SPACES, { ssm_cfg: { dt_rank: 'half' } }, ', ssm_cfg, has dt_rank "half"; it must be a number.'],
    [STATE_SPACES, { ssm_cfg: 'Mamba1' }, ' has ssm_cfg "Mamba1"; it must be an object.'],
    [STATE_SPACES, { rms_norm: false }, ' has rms_norm false; only true is supported.'],
    [STATE_SPACES, { d_intermediate: 1024 }, ' has d_intermediate 1024; only 0 is supported.'],
    [STATE_SPACES, { tie_embeddings: false }, ' has tie_embeddings false; only true is supported.'],
    [
      STATE_SPACES,
      { attn_layer_idx: [9, 18] },
      ' has attention in some layers (attn_layer_idx), which is not supported.',
    ],
  ];
  for (const [base, change, message] of refused) {
    it(`is refused with ${JSON.stringify(change)}`, () => {
      fails(() => read({ ...base, ...change }), InputError, `config.json${message}`);
    });
  }

  it('is not refused for attention in no layer, nor for Mamba1 by its name', () => {
    const plain = { ...STATE_SPACES, attn_layer_idx: [], ssm_cfg: { layer: 'Mamba1' }, d_intermediate: 0 };
    assert.deepEqual(read(plain), read(STATE_SPACES));
  });
});

describe('a file of --model-config', () => {
  it('says it all, or a part', () => {
    assert.deepEqual(modelConfigSource(json('configs/mamba-tiny.json'), 'f').values, TINY);
    assert.deepEqual(modelConfigSource({ layer_norm_epsilon: 1e-6 }, 'f').values, { layerNormEpsilon: 1e-6 });
    assert.deepEqual(modelConfigSource({}, 'f').values, {});
  });

  it('has no other fields, nor other types', () => {
    const error = fails(
      () => modelConfigSource({ d_model: 24, sliding_window: 9 }, 'f.json'),
      InputError,
      'f.json has fields that no Mamba has: d_model, sliding_window.',
    );
    assert.match(error.hint!, /^Known fields: vocab_size, .*, layer_norm_epsilon, model_type, expand\.$/);
    const message = 'f.json has expand "2"; it must be a number.';
    fails(() => modelConfigSource({ expand: '2' }, 'f.json'), InputError, message);
  });
});

describe('what is settled', () => {
  it('is what the shapes tell, and the epsilon of both implementations', () => {
    const { layerNormEpsilon: _, ...told } = TINY;
    const named = shapeTensors({
      'embedder.input_embedding': [512, 24],
      'blocks.0.mixer.A_log': [6, 48],
      'blocks.0.mixer.conv_1d.w': [4, 48],
      'blocks.0.mixer.dt_proj.kernel': [5, 48],
      'blocks.3.pre_norm.scale': [24],
    });
    assert.deepEqual(inferredSource(named).values, told);
    assert.deepEqual(inferredSource(new Map()).values, {});
    assert.deepEqual(settle(TINY), publishedConfig(TINY));
  });

  it('names contradictions with both values', () => {
    fails(
      () =>
        settle(TINY, { huggingFace: file({ state_size: 16, num_hidden_layers: 5 }), preset: 'mamba-130m' }),
      InputError,
      /^The configuration contradicts itself: hidden_size is 24 in the tensors' shapes but 768 in preset mamba-130m; .*state_size is 16 in config\.json but 6 in the tensors' shapes; .*num_hidden_layers is 5 in config\.json but 4 in the tensors' shapes\.$/,
    );
  });

  it('has no window', () => {
    const message = 'A Mamba has no attention: leave out --attention-window.';
    fails(() => settle(TINY, { attentionWindow: 9 }), UsageError, message);
  });

  it('leaves nothing unsaid, or says what is missing and how to say it', () => {
    const modelConfig = file({ hidden_size: 24, intermediate_size: 48, vocab_size: 512 });
    const error = fails(
      () => mambaFamily.untrained({ modelConfig }),
      UsageError,
      'The checkpoint does not say its state_size, conv_kernel, time_step_rank, num_hidden_layers.',
    );
    assert.match(error.hint!, /--preset \(mamba-130m, .*, mamba-2\.8b\), .*--model-config FILE\.json/);
    const { missing: absent, known } = error.details as { missing: string[]; known: Json };
    assert.equal(absent.length, 4);
    assert.deepEqual(known, { ...modelConfig.json, layer_norm_epsilon: 1e-5 });
  });

  const impossible: [Partial<MambaConfig>, string][] = [
    [{ hiddenSize: 0 }, 'hidden_size is 0; it must be a whole number from 1 to 16777216.'],
    [{ intermediateSize: 48.5 }, 'intermediate_size is 48.5; it must be a whole number from 1 to 16777216.'],
    [{ stateSize: -6 }, 'state_size is -6; it must be a whole number from 1 to 16777216.'],
    [{ convKernel: 65 }, 'conv_kernel is 65; it must be a whole number from 1 to 64.'],
    [{ convKernel: 1 }, 'conv_kernel is 1; it must be 2 or more.'],
    [{ timeStepRank: 0 }, 'time_step_rank is 0; it must be a whole number from 1 to 16777216.'],
    [{ numHiddenLayers: 5000 }, 'num_hidden_layers is 5000; it must be a whole number from 1 to 4096.'],
    [{ layerNormEpsilon: 0 }, 'layer_norm_epsilon is 0; it must be more than 0.'],
  ];
  for (const [change, message] of impossible) {
    it(`is refused where it cannot be: ${message}`, () => {
      const modelConfig = file(publishedConfig({ ...TINY, ...change }));
      fails(() => mambaFamily.untrained({ modelConfig }), InputError, `The config's ${message}`);
    });
  }
});

describe('what is written of a config', () => {
  const configs = {
    'mamba-tiny': TINY,
    ...Object.fromEntries(
      mambaFamily.presets.map((name) => [name, presetSource(name).values as MambaConfig]),
    ),
    'another epsilon and width': { ...TINY, layerNormEpsilon: 1e-6, intermediateSize: 36 },
  };
  for (const [name, config] of Object.entries(configs)) {
    it(`is read as the same: ${name}`, () => {
      const modelConfig = file(publishedConfig(config));
      const model = mambaFamily.untrained({ modelConfig }).prepare(new Map());
      assert.deepEqual(Object.keys(model.config).length, FIELDS.length);
      assert.deepEqual(modelConfigSource(written(model.config), 'f').values, config);
      assert.deepEqual(read(written(model.huggingFaceConfig)), config);
    });
  }
});
