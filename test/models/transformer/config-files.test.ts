/** What config.json says of a transformer in every version of it, what a file of --model-config may say, and that what is written is read as the same. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { InputError } from '../../../src/errors.js';
import type { TransformerConfig } from '../../../src/models/transformer/config.js';
import {
  huggingFaceSource,
  modelConfigSource,
  type TransformerSource,
} from '../../../src/models/transformer/config-sources.js';
import { presetSource, TRANSFORMER_PRESETS } from '../../../src/models/transformer/presets.js';
import { huggingFaceConfig, publishedConfig } from '../../../src/models/transformer/published-config.js';
import { resolveTransformerConfig } from '../../../src/models/transformer/resolve-config.js';
import { fails } from '../../support/fails.js';
import { goldenPath, missing } from '../../support/goldens.js';
import { GEMMA_2B, LLAMA_1, LLAMA_31, MISTRAL_V01, MISTRAL_V02, MISTRAL_V03, TINY } from './known-configs.js';

type Json = Record<string, unknown>;

const json = (path: string) => JSON.parse(readFileSync(goldenPath(path)!, 'utf8')) as Json;
const resolve = (...sources: TransformerSource[]) => resolveTransformerConfig(sources).config;
const read = (file: Json) => huggingFaceSource(file, 'config.json');
const without = (file: Json, ...fields: string[]) =>
  Object.fromEntries(Object.entries(file).filter(([name]) => !fields.includes(name)));

const GEMMA = TINY['gemma-mqa-tiny']!;
const MISTRAL = TINY['mistral-tiny']!;

describe("Hugging Face's config.json", () => {
  // Of transformers 4.34 to 4.38, and of 5.
  const forms = [
    'gemma-mqa-tiny/hf-bf16',
    'gemma-mha-tiny/hf-f32',
    'mistral-tiny/hf-sharded-f32',
    'llama-tiny/hf-f32',
    ...['gemma-mqa-tiny', 'gemma-mha-tiny', 'mistral-tiny'].map((model) => `${model}/hf-bin-f32`),
  ];
  for (const form of forms) {
    const path = `checkpoints/${form}/config.json`;
    it(`of ${form} says what the model was made with`, { skip: missing(path) }, () => {
      assert.deepEqual(resolve(read(json(path))), TINY[form.split('/')[0]!]);
    });
  }

  const scaling = { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 8192 };
  const { rope_scaling, rope_theta, ...renewed } = LLAMA_31;
  const meanings: [string, Json, Partial<TransformerConfig>][] = [
    ['a window of 4096', MISTRAL_V01, { slidingWindow: 4096, headDim: 128 }],
    ['no window', MISTRAL_V02, { slidingWindow: 0, ropeTheta: 1e6 }],
    [
      "Mistral's window where it says nothing",
      without(MISTRAL_V02, 'sliding_window'),
      { slidingWindow: 4096 },
    ],
    [
      'no window for a Llama, whose code has none',
      { ...LLAMA_1, sliding_window: 4096 },
      { slidingWindow: 0 },
    ],
    [
      'a key head for each head of an early Llama',
      LLAMA_1,
      { numKeyValueHeads: 32, headDim: 128, ropeTheta: 10_000 },
    ],
    ['heads wider than a part of the width', { ...MISTRAL_V03, head_dim: 160 }, { headDim: 160 }],
    ['a part of the width where head_dim is null', { ...MISTRAL_V03, head_dim: null }, { headDim: 128 }],
    ['scaled rotations', LLAMA_31, { ropeTheta: 500_000, ropeScaling: scaling }],
    [
      'scaled rotations by their old key',
      { ...LLAMA_31, rope_scaling: { ...without(rope_scaling, 'rope_type'), type: 'llama3' } },
      { ropeScaling: scaling },
    ],
    [
      'rotations in one object, as transformers 5 does',
      { ...renewed, rope_parameters: { ...rope_scaling, rope_theta } },
      { ropeTheta: 500_000, ropeScaling: scaling },
    ],
    [
      'the base of rotations beside that object',
      { ...renewed, rope_theta, rope_parameters: { rope_type: 'default' } },
      { ropeTheta: 500_000, ropeScaling: 'none' },
    ],
    [
      'a head of its own, unless it says tied',
      without(LLAMA_31, 'tie_word_embeddings'),
      { tieWordEmbeddings: false },
    ],
    [
      'a tied head of a Gemma',
      without(GEMMA_2B, 'rope_scaling'),
      { tieWordEmbeddings: true, ropeScaling: 'none' },
    ],
  ];
  for (const [what, file, expected] of meanings) {
    it(`means ${what}`, () => {
      const config = resolve(read(file));
      assert.deepEqual({ ...config, ...expected }, config);
    });
  }

  const types = 'only "gemma" or "mistral" or "llama" is supported.';
  const ropes = 'only "default" or "llama3" is supported.';
  const llama3 = LLAMA_31.rope_scaling;
  const refused: [Json, Json, string][] = [
    [GEMMA_2B, { model_type: 'gemma2' }, `has model_type "gemma2"; ${types}`],
    [GEMMA_2B, { model_type: 'gemma3_text' }, `has model_type "gemma3_text"; ${types}`],
    [GEMMA_2B, { model_type: 7 }, 'has model_type 7; it must be a text.'],
    [
      GEMMA_2B,
      { hidden_act: 'silu' },
      'has hidden_act "silu"; only "gelu" or "gelu_pytorch_tanh" is supported.',
    ],
    [
      GEMMA_2B,
      { hidden_activation: 'gelu' },
      'has hidden_activation "gelu"; only "gelu_pytorch_tanh" is supported.',
    ],
    [GEMMA_2B, { attention_bias: true }, 'has attention_bias true; only false is supported.'],
    [
      GEMMA_2B,
      { use_bidirectional_attention: true },
      'has use_bidirectional_attention true; only false is supported.',
    ],
    [MISTRAL_V01, { hidden_act: 'gelu' }, 'has hidden_act "gelu"; only "silu" or "swish" is supported.'],
    [MISTRAL_V01, { sliding_window: '4096' }, 'has sliding_window "4096"; it must be a number.'],
    [MISTRAL_V01, { tie_word_embeddings: 0 }, 'has tie_word_embeddings 0; it must be true or false.'],
    [
      MISTRAL_V01,
      { rope_parameters: { rope_type: 'yarn', factor: 4 } },
      `: rope_parameters has rope_type "yarn"; ${ropes}`,
    ],
    [LLAMA_31, { mlp_bias: true }, 'has mlp_bias true; only false is supported.'],
    [LLAMA_31, { partial_rotary_factor: 0.5 }, 'has partial_rotary_factor 0.5; only 1 is supported.'],
    [LLAMA_31, { rope_scaling: { type: 'linear', factor: 2 } }, `: rope_scaling has type "linear"; ${ropes}`],
    [
      LLAMA_31,
      { rope_scaling: { rope_type: 'dynamic', factor: 2 } },
      `: rope_scaling has rope_type "dynamic"; ${ropes}`,
    ],
    [
      LLAMA_31,
      { rope_parameters: { rope_type: 'default' } },
      'has a rope_scaling that contradicts its rope_parameters.',
    ],
    [LLAMA_31, { rope_scaling: 'llama3' }, 'has rope_scaling "llama3"; it must be an object.'],
    [
      LLAMA_31,
      { rope_scaling: without(llama3, 'factor') },
      ': rope_scaling is a llama3 scaling whose factor is not a number above 0.',
    ],
    [
      LLAMA_31,
      { rope_scaling: { ...llama3, low_freq_factor: 0 } },
      ': rope_scaling is a llama3 scaling whose low_freq_factor is not a number above 0.',
    ],
    [
      LLAMA_31,
      { rope_scaling: { ...llama3, low_freq_factor: 4 } },
      ': rope_scaling has a high_freq_factor that is not above low_freq_factor.',
    ],
  ];
  for (const [base, change, message] of refused) {
    it(`is refused with ${JSON.stringify(change)}`, () => {
      fails(
        () => read({ ...base, ...change }),
        InputError,
        `config.json${message.startsWith(':') ? '' : ' '}${message}`,
      );
    });
  }
});

describe('a file of --model-config', () => {
  const given = (file: Json) => modelConfigSource(file, 'f.json').values;

  it('says it all, or a part', () => {
    const file = json('configs/gemma-mqa-tiny.json');
    assert.deepEqual(resolve(modelConfigSource(file, 'f')), GEMMA);
    assert.deepEqual(given({ head_dim: 14 }), { headDim: 14 });
    const nothing = given({ sliding_window: null, rope_scaling: null, head_dim: null });
    assert.deepEqual(nothing, { slidingWindow: 0, ropeScaling: 'none' });
    assert.deepEqual(given({}), {});
    assert.deepEqual(resolve(modelConfigSource(json('configs/llama-tiny.json'), 'f')), TINY['llama-tiny']);
  });

  it('has no other fields, nor other types', () => {
    const error = fails(
      () => given({ num_heads: 8, head_dim: 256, width: 3 }),
      InputError,
      'f.json has fields that no transformer here has: num_heads, width.',
    );
    assert.match(
      error.hint!,
      /^Known fields: model_type, vocab_size, .*, tie_word_embeddings, rope_parameters\.$/,
    );
    fails(() => given({ head_dim: '256' }), InputError, 'f.json has head_dim "256"; it must be a number.');
    fails(
      () => given({ model_type: 'gemma2' }),
      InputError,
      /^f\.json has model_type "gemma2"; only "gemma"/,
    );
  });
});

describe('what is written of a config', () => {
  const scaled = { ...MISTRAL, slidingWindow: 0, ropeScaling: TINY['llama-tiny']!.ropeScaling };
  const configs: Readonly<Record<string, TransformerConfig>> = {
    ...TINY,
    ...Object.fromEntries(
      Object.keys(TRANSFORMER_PRESETS).map((name) => [name, resolve(presetSource(name))]),
    ),
    'Llama 3.1': resolve(read(LLAMA_31)),
    'a scaled Mistral without a window': scaled,
  };
  const written = (value: unknown) => JSON.parse(JSON.stringify(value)) as Json;
  for (const [name, config] of Object.entries(configs)) {
    it(`is read as the same: ${name}`, () => {
      assert.deepEqual(modelConfigSource(written(publishedConfig(config)), 'f').values, config);
      // The paper's transformer is none of Hugging Face's.
      if (config.modelType === 'mqa') return;
      assert.deepEqual(resolve(read(written(huggingFaceConfig(config)))), config);
    });
  }

  it('keeps a window that was asked for, in the field names of --model-config', () => {
    const windowed = { ...GEMMA, slidingWindow: 9 };
    assert.deepEqual(modelConfigSource(publishedConfig(windowed), 'f').values, windowed);
  });
});
