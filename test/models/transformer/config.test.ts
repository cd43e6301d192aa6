/** Where a transformer's config comes from: presets, shapes, several sources; and what is said where it cannot be. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openModel } from '../../../src/convert/open-model.js';
import { InputError, UsageError } from '../../../src/errors.js';
import { type Shape, totalElements } from '../../../src/graph/dtype.js';
import type { TransformerConfig } from '../../../src/models/transformer/config.js';
import {
  defaultSource,
  huggingFaceSource,
  inferredSource,
  type TransformerSource,
} from '../../../src/models/transformer/config-sources.js';
import { transformerFamily } from '../../../src/models/transformer/family.js';
import { presetSource } from '../../../src/models/transformer/presets.js';
import { resolveTransformerConfig } from '../../../src/models/transformer/resolve-config.js';
import { fails } from '../../support/fails.js';
import { shapeTensors } from '../../support/shape-tensors.js';
import { GEMMA_2B, GEMMA_7B, LLAMA_1, MISTRAL_V01, MISTRAL_V03, TINY } from './known-configs.js';

type Json = Record<string, unknown>;

const source = (values: Partial<TransformerConfig>, label = 'a source'): TransformerSource => ({
  label,
  values,
});
const resolve = (...sources: TransformerSource[]) => resolveTransformerConfig(sources).config;
const read = (file: Json) => huggingFaceSource(file, 'config.json');

const GEMMA = TINY['gemma-mqa-tiny']!;
const MISTRAL = TINY['mistral-tiny']!;

/** What tells the sizes of a transformer, under the names of each layout, and one name of its last layer. */
function shapesOf(c: TransformerConfig): Record<'hf' | 'torch' | 'flax', Record<string, Shape>> {
  const [d, m, last] = [c.hiddenSize, c.intermediateSize, c.numHiddenLayers - 1];
  const layers = { 'model.layers.0.mlp.down_proj.weight': [d, m], [`model.layers.${last}.x`]: [] };
  const isMultiHead = c.numKeyValueHeads === c.numAttentionHeads;
  return {
    hf: { 'model.embed_tokens.weight': [c.vocabSize, d], ...layers },
    torch: { 'embedder.weight': [c.vocabSize, d], ...layers },
    flax: {
      'transformer/embedder.input_embedding': [c.vocabSize, d],
      'transformer/layer_0/mlp/linear.w': [m, d],
      'transformer/layer_0/attn/attn_vec_einsum.w': [c.numAttentionHeads, c.headDim, d],
      ...(isMultiHead
        ? { 'transformer/layer_0/attn/qkv_einsum.w': [3, c.numAttentionHeads, d, c.headDim] }
        : { 'transformer/layer_0/attn/kv_einsum.w': [2, c.numKeyValueHeads, d, c.headDim] }),
      [`transformer/layer_${last}/x`]: [],
    },
  };
}

describe('presets', () => {
  // What transformers 5.23 counts in models of the released configs (torch.device("meta")).
  const SIZES = {
    'gemma-2b': 2_506_172_416,
    'gemma-7b': 8_537_680_896,
    'mistral-7b-v0.1': 7_241_732_096,
    'mistral-7b-v0.3': 7_248_023_552,
    // By hand: 256000 * 4096, 32 layers of 185,638,912 (attention 34.6 M, MLP 151.0 M, norms and biases), and the last norm.
    'mqa-paper-6b': 1_048_576_000 + 32 * 185_638_912 + 4096,
  };
  for (const [preset, size] of Object.entries(SIZES)) {
    it(`have the published size: ${preset}`, async () => {
      const { checkpoint, model } = await openModel({ randomSeed: 0 }, { preset });
      assert.equal(totalElements(checkpoint.tensors.values()), size);
      assert.equal(model.family, 'transformer');
    });
  }
  it('are all there', () => assert.deepEqual(transformerFamily.presets, Object.keys(SIZES)));

  it('say what the released config.json does', () => {
    const files = {
      'gemma-2b': GEMMA_2B,
      'gemma-7b': GEMMA_7B,
      'mistral-7b-v0.1': MISTRAL_V01,
      'mistral-7b-v0.3': MISTRAL_V03,
    };
    for (const [preset, file] of Object.entries(files)) {
      assert.deepEqual(resolve(presetSource(preset)), resolve(read(file)), preset);
    }
  });

  it('are recognised by their shapes, which say no heads in PyTorch files', () => {
    const preset = resolve(presetSource('gemma-7b'));
    const shapes = inferredSource('torch', shapeTensors(shapesOf(preset).torch));
    const { config, notes } = resolveTransformerConfig([shapes]);
    assert.deepEqual(config, preset);
    assert.deepEqual(notes, ['The shapes are those of gemma-7b; its heads are used.']);
  });

  it("give way to the rows of an embedding, which DeepMind's files pad (gemma/transformer.py)", () => {
    const shapes = shapesOf({ ...resolve(presetSource('gemma-2b')), vocabSize: 256_128 }).flax;
    const model = transformerFamily.prepare('flax', shapeTensors(shapes), { preset: 'gemma-2b' });
    assert.equal(model.vocabSize, 256_128);
  });

  it('that do not exist are refused with those that do', () => {
    for (const name of ['gemma-3b', 'constructor', '__proto__']) {
      const error = fails(() => presetSource(name), UsageError, `There is no preset "${name}".`);
      assert.equal(
        error.hint,
        'Presets: gemma-2b, gemma-7b, mistral-7b-v0.1, mistral-7b-v0.3, mqa-paper-6b.',
      );
    }
  });
});

describe('what shapes tell', () => {
  const told = (layout: 'hf' | 'torch' | 'flax', config: TransformerConfig) =>
    inferredSource(layout, shapeTensors(shapesOf(config)[layout])).values;

  it('is all but the heads and the kind in Hugging Face files, and all but the heads in PyTorch files', () => {
    const { vocabSize, hiddenSize, intermediateSize, numHiddenLayers } = GEMMA;
    const sizes = { vocabSize, hiddenSize, intermediateSize, numHiddenLayers };
    assert.deepEqual(told('hf', GEMMA), sizes);
    assert.deepEqual(told('torch', GEMMA), { modelType: 'gemma', ...sizes });
  });

  it('is everything in Flax files', () => {
    for (const model of ['gemma-mqa-tiny', 'gemma-mha-tiny']) {
      assert.deepEqual(resolve(source(told('flax', TINY[model]!))), TINY[model]);
    }
  });

  it('is nothing where nothing is', () => {
    for (const layout of ['hf', 'torch', 'flax'] as const) {
      const { modelType: _, ...values } = inferredSource(layout, new Map()).values;
      assert.deepEqual(values, {}, layout);
    }
  });
});

describe('several sources', () => {
  const shapes = source({ hiddenSize: 43, numHiddenLayers: 3 }, "the tensors' shapes");

  it('that agree are one', () => {
    assert.deepEqual(resolve(source(MISTRAL), source({ headDim: 8, slidingWindow: 12 })), MISTRAL);
  });

  it('that contradict each other are named with both values', () => {
    fails(
      () => resolve(source({ ...GEMMA, numHiddenLayers: 4 }, 'config.json'), shapes),
      InputError,
      "The configuration contradicts itself: hidden_size is 42 in config.json but 43 in the tensors' shapes; num_hidden_layers is 4 in config.json but 3 in the tensors' shapes.",
    );
    const scaled = source({ ropeScaling: TINY['llama-tiny']!.ropeScaling }, 'f.json');
    fails(
      () => resolve(source(GEMMA, 'config.json'), scaled),
      InputError,
      /rope_scaling is none in config\.json but \{"factor":8,.*\} in f\.json\.$/,
    );
  });

  it('give way to --attention-window, which does not count the key of the query itself', () => {
    for (const config of [MISTRAL, GEMMA]) {
      const windows = [source(config), source({ slidingWindow: 4096 })];
      assert.equal(resolveTransformerConfig(windows, 15).config.slidingWindow, 16);
    }
  });

  it('say less than there are defaults for: what Hugging Face takes then (configuration_*.py of 5.23)', () => {
    const shared = { slidingWindow: 0, ropeTheta: 10_000, ropeScaling: 'none', rmsNormEps: 1e-6 };
    const others = {
      gemma: { maxPositionEmbeddings: 8192, tieWordEmbeddings: true },
      mistral: { numKeyValueHeads: 8, maxPositionEmbeddings: 131_072, tieWordEmbeddings: false },
      llama: { maxPositionEmbeddings: 2048, tieWordEmbeddings: false },
    };
    for (const type of ['gemma', 'mistral', 'llama'] as const) {
      assert.deepEqual(defaultSource(type).values, { ...shared, ...others[type] });
    }
  });

  it('that leave something unsaid are refused with what is missing, and how to say it', () => {
    const torch = inferredSource('torch', shapeTensors(shapesOf(GEMMA).torch));
    const message = 'The checkpoint does not say its num_attention_heads, num_key_value_heads, head_dim.';
    const error = fails(() => resolve(torch), UsageError, message);
    assert.match(
      error.hint!,
      /in the config\.json beside it\. .* --preset \(gemma-2b, .*--model-config FILE\.json/,
    );
    const { missing: absent, known } = error.details as { missing: string[]; known: Json };
    assert.deepEqual(absent, ['num_attention_heads', 'num_key_value_heads', 'head_dim']);
    assert.deepEqual([known.model_type, known.hidden_size, known.vocab_size], ['gemma', 42, 512]);

    const hf = inferredSource('hf', shapeTensors(shapesOf(GEMMA).hf));
    fails(
      () => resolve(hf),
      UsageError,
      /^The checkpoint does not say its model_type, num_attention_heads, /,
    );
  });

  it('that fit several presets are refused: those of Mistral differ in what shapes do not tell', () => {
    const preset = resolve(presetSource('mistral-7b-v0.3'));
    const shapes = inferredSource('hf', shapeTensors(shapesOf(preset).hf));
    const message = 'The checkpoint does not say its num_attention_heads, head_dim.';
    fails(() => resolve(source({ modelType: 'mistral' }), shapes), UsageError, message);
  });
});

describe('values that cannot be', () => {
  const cases: [Partial<TransformerConfig>, string][] = [
    [{ hiddenSize: 0 }, 'hidden_size is 0; it must be a whole number from 1 to 16777216.'],
    [{ vocabSize: 2 ** 25 }, 'vocab_size is 33554432; it must be a whole number from 1 to 16777216.'],
    [{ numAttentionHeads: 2.5 }, 'num_attention_heads is 2.5; it must be a whole number from 1 to 16777216.'],
    [{ numHiddenLayers: 5000 }, 'num_hidden_layers is 5000; it must be a whole number from 1 to 4096.'],
    [{ numKeyValueHeads: 2 }, 'num_key_value_heads 2 does not divide num_attention_heads 3.'],
    [{ numKeyValueHeads: 6 }, 'num_key_value_heads 6 does not divide num_attention_heads 3.'],
    [{ headDim: 15 }, 'head_dim is 15; heads are rotated in pairs, so it must be a multiple of 2.'],
    ...[1, 2.5, -4].map((slidingWindow): [Partial<TransformerConfig>, string] => [
      { slidingWindow },
      `sliding_window is ${slidingWindow}; it must be null (none) or a whole number from 2 on.`,
    ]),
    [{ ropeTheta: -10_000 }, 'rope_theta is -10000; it must be more than 0.'],
    [{ ropeTheta: Number.POSITIVE_INFINITY }, 'rope_theta is Infinity; it must be more than 0.'],
    [{ rmsNormEps: 0 }, 'rms_norm_eps is 0; it must be more than 0.'],
    [
      { maxPositionEmbeddings: -1 },
      'max_position_embeddings is -1; it must be a whole number from 1 to 16777216.',
    ],
  ];
  for (const [change, message] of cases) {
    it(`are refused: ${message}`, () => {
      fails(() => resolve(source({ ...GEMMA, ...change })), InputError, `The config's ${message}`);
    });
  }

  it('include a width that the heads do not divide', () => {
    const file = { ...LLAMA_1, hidden_size: 4100 };
    fails(
      () => resolve(read(file)),
      InputError,
      /^The config's head_dim is 128\.125; it must be a whole number/,
    );
  });
});
