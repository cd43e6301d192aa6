/** Where a Griffin's config comes from: presets, files, shapes; and what is said where it cannot be. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { InputError, type RecgemmaError, UsageError } from '../../../src/errors.js';
import { memoryTensor } from '../../../src/graph/transform.js';
import type { GriffinConfig } from '../../../src/models/griffin/config.js';
import { validateGriffinConfig } from '../../../src/models/griffin/config.js';
import {
  type GriffinSource,
  huggingFaceSource,
  inferredSource,
  modelConfigSource,
} from '../../../src/models/griffin/config-sources.js';
import { cycleBlocks, GRIFFIN_PRESETS } from '../../../src/models/griffin/presets.js';
import { presetSource, resolveGriffinConfig } from '../../../src/models/griffin/resolve-config.js';
import { goldenPath } from '../../support/goldens.js';

/** rg-tiny, as configs/rg-tiny.json and both Hugging Face forms describe it. */
const RG_TINY: GriffinConfig = {
  vocabSize: 512,
  width: 40,
  mlpExpandedWidth: 52,
  numHeads: 5,
  lruWidth: 40,
  blockTypes: cycleBlocks(['recurrent', 'recurrent', 'attention'], 8),
  embeddingsScaleBySqrtDim: true,
  attentionWindowSize: 16,
  logitsSoftCap: 30,
};

const json = (path: string) => JSON.parse(readFileSync(goldenPath(path)!, 'utf8')) as Record<string, unknown>;
const source = (values: Partial<GriffinConfig>, label = 'a source'): GriffinSource => ({ label, values });

function without(field: keyof GriffinConfig): Partial<GriffinConfig> {
  return Object.fromEntries(Object.entries(RG_TINY).filter(([name]) => name !== field));
}

function fails(work: () => unknown, type: typeof InputError | typeof UsageError, message: RegExp | string) {
  let thrown: unknown;
  assert.throws(work, (error) => {
    assert.ok(error instanceof type, String(error));
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
    thrown = error;
    return true;
  });
  return thrown as RecgemmaError;
}

describe('presets', () => {
  it('are what DeepMind published (recurrentgemma/common.py, formats of the released checkpoints)', () => {
    const { config, notes } = resolveGriffinConfig([
      presetSource('recurrentgemma-2b'),
      source({ vocabSize: 256_000 }),
    ]);
    assert.deepEqual(notes, []);
    assert.deepEqual(config, {
      vocabSize: 256_000,
      width: 2560,
      mlpExpandedWidth: 7680,
      numHeads: 10,
      lruWidth: 2560,
      blockTypes: [...'rrarrarrarrarrarrarrarrarr'].map((t) => (t === 'a' ? 'attention' : 'recurrent')),
      embeddingsScaleBySqrtDim: true,
      attentionWindowSize: 2048,
      logitsSoftCap: 30,
    });
    const nine = GRIFFIN_PRESETS['recurrentgemma-9b']!;
    assert.deepEqual(
      [nine.width, nine.numHeads, nine.blockTypes.length, nine.mlpExpandedWidth],
      [4096, 16, 38, 12288],
    );
    for (const preset of Object.values(GRIFFIN_PRESETS))
      validateGriffinConfig({ ...preset, vocabSize: 256_000 });
  });

  it('are recognised by their shapes, which then say the rest', () => {
    const { blockTypes, width, mlpExpandedWidth, numHeads, lruWidth } = GRIFFIN_PRESETS['recurrentgemma-2b']!;
    const shapes = { vocabSize: 256_000, blockTypes, width, mlpExpandedWidth, numHeads, lruWidth };
    const { config, notes } = resolveGriffinConfig([source(shapes)]);
    assert.deepEqual([config.attentionWindowSize, config.logitsSoftCap], [2048, 30]);
    assert.deepEqual(notes, [
      'The shapes are those of recurrentgemma-2b; its window, soft cap and embedding scale are used.',
    ]);
    const error = fails(
      () => resolveGriffinConfig([source({ ...shapes, mlpExpandedWidth: 7681 })]),
      UsageError,
      'The checkpoint does not say its embeddings_scale_by_sqrt_dim, attention_window_size, logits_soft_cap.',
    );
    assert.match(error.hint!, /--preset \(recurrentgemma-2b, .*--model-config FILE\.json/);
    assert.deepEqual((error.details as { missing: string[] }).missing, [
      'embeddings_scale_by_sqrt_dim',
      'attention_window_size',
      'logits_soft_cap',
    ]);
  });

  it('that do not exist are refused with those that do', () => {
    for (const name of ['recurrentgemma-3b', 'constructor', '__proto__']) {
      const error = fails(() => presetSource(name), UsageError, `There is no preset "${name}".`);
      assert.match(error.hint!, /recurrentgemma-2b, recurrentgemma-9b/);
    }
  });
});

describe("Hugging Face's config.json", () => {
  for (const form of ['hf-bin-f32', 'hf-bf16', 'hf-sharded-bf16']) {
    it(`of ${form} says what DeepMind's config does`, () => {
      const read = huggingFaceSource(json(`checkpoints/rg-tiny/${form}/config.json`), 'config.json');
      assert.deepEqual(read.values, RG_TINY);
    });
  }

  const old = () => json('checkpoints/rg-tiny/hf-bf16/config.json');

  it('of transformers 5 names the pattern without an underscore, and the rope by an object', () => {
    const { _block_types, partial_rotary_factor, rope_theta, embeddings_scale_by_sqrt_dim, ...rest } = old();
    const renewed = {
      ...rest,
      block_types: _block_types,
      rope_parameters: { partial_rotary_factor, rope_theta, rope_type: 'default' },
    };
    assert.equal(embeddings_scale_by_sqrt_dim, true);
    assert.deepEqual(huggingFaceSource(renewed, 'config.json').values, RG_TINY);
    // Where both are there, the new one is the one that transformers 5 reads.
    const both = huggingFaceSource({ ...old(), block_types: ['attention'] }, 'config.json');
    assert.deepEqual(both.values.blockTypes, cycleBlocks(['attention'], 8));
  });

  it('without lru_width means the hidden size', () => {
    for (const missing of [null, undefined]) {
      assert.equal(huggingFaceSource({ ...old(), lru_width: missing }, 'config.json').values.lruWidth, 40);
    }
  });

  const unsupported: [Record<string, unknown>, string][] = [
    [{ hidden_activation: 'gelu' }, 'hidden_activation "gelu"; only "gelu_pytorch_tanh" is supported.'],
    [{ num_key_value_heads: 5 }, 'num_key_value_heads 5; only 1 is supported.'],
    [{ conv1d_width: 3 }, 'conv1d_width 3; only 4 is supported.'],
    [{ rms_norm_eps: 1e-5 }, 'rms_norm_eps 0.00001; only 0.000001 is supported.'],
    [{ attention_bias: true }, 'attention_bias true; only false is supported.'],
    [{ partial_rotary_factor: 1 }, 'partial_rotary_factor 1; only 0.5 is supported.'],
    [{ rope_theta: 5000 }, 'rope_theta 5000; only 10000 is supported.'],
    [{ rope_parameters: { rope_theta: 5000 } }, 'rope_theta 5000; only 10000 is supported.'],
    [{ head_dim: 16 }, 'head_dim 16; only 8 is supported.'],
    [{ hidden_size: '40' }, 'hidden_size "40"; it must be a number.'],
    [{ embeddings_scale_by_sqrt_dim: 1 }, 'embeddings_scale_by_sqrt_dim 1; it must be true or false.'],
    [{ rope_parameters: 3 }, 'rope_parameters 3; it must be an object.'],
    [{ _block_types: [] }, '_block_types []; it must be a list of "recurrent" and "attention".'],
    [
      { _block_types: ['mamba'] },
      '_block_types ["mamba"]; it must be a list of "recurrent" and "attention".',
    ],
  ];
  for (const [change, message] of unsupported) {
    it(`is refused with ${JSON.stringify(change)}`, () => {
      fails(
        () => huggingFaceSource({ ...old(), ...change }, 'config.json'),
        InputError,
        `config.json has ${message}`,
      );
    });
  }
});

describe("a config in DeepMind's names", () => {
  it('says it all, or a part', () => {
    assert.deepEqual(modelConfigSource(json('configs/rg-tiny.json'), 'f').values, RG_TINY);
    assert.deepEqual(modelConfigSource({ attention_window_size: 7 }, 'f').values, { attentionWindowSize: 7 });
    assert.deepEqual(modelConfigSource(json('configs/mqa-tiny.json'), 'f').values.lruWidth, undefined);
    const enums = { block_types: ['RECURRENT', 'Attention'], scan_type: 'linear_native' };
    assert.deepEqual(modelConfigSource(enums, 'f').values, { blockTypes: ['recurrent', 'attention'] });
  });

  it('has no other fields, nor other types', () => {
    const error = fails(
      () => modelConfigSource({ widht: 40, num_layers: 3 }, 'f.json'),
      InputError,
      'f.json has fields that no Griffin has: widht, num_layers.',
    );
    assert.match(error.hint!, /vocab_size, width, .*logits_soft_cap/);
    fails(
      () => modelConfigSource({ width: '40' }, 'f'),
      InputError,
      'f has width "40"; it must be a number.',
    );
  });
});

describe('what shapes tell', () => {
  const shapes = (tensors: Readonly<Record<string, readonly number[]>>) =>
    inferredSource(
      new Map(
        Object.entries(tensors).map(([name, shape]) => [
          name,
          memoryTensor('float32', shape, new Uint8Array()),
        ]),
      ),
    ).values;
  const embedding = { 'embedder.input_embedding': [512, 48] };
  const recurrent = (i: number) => ({
    [`blocks.${i}.recurrent_block.rg_lru.a_gate.w`]: [2, 26, 26],
    [`blocks.${i}.mlp_block.ffw_up.w`]: [2, 48, 70],
  });
  const attention = (i: number) => ({
    [`blocks.${i}.attention_block.proj_k.kernel`]: [48, 24],
    [`blocks.${i}.mlp_block.ffw_up.w`]: [2, 48, 70],
  });
  const common = { vocabSize: 512, width: 48, mlpExpandedWidth: 70, numHeads: 2 };

  it('of a Griffin, whichever block is last', () => {
    const expected = { ...common, lruWidth: 52 };
    const [r, a] = ['recurrent', 'attention'];
    assert.deepEqual(shapes({ ...embedding, ...recurrent(0), ...attention(1) }), {
      ...expected,
      blockTypes: [r, a],
    });
    assert.deepEqual(shapes({ ...embedding, ...attention(0), ...recurrent(1) }), {
      ...expected,
      blockTypes: [a, r],
    });
  });

  it('of a Hawk, and of attention alone, of which heads are told by the width of one key', () => {
    assert.deepEqual(shapes({ ...embedding, ...recurrent(0) }), {
      ...common,
      lruWidth: 52,
      blockTypes: ['recurrent'],
    });
    assert.deepEqual(shapes({ ...embedding, ...attention(0) }), { ...common, blockTypes: ['attention'] });
  });

  it('is less where a block is not there', () => {
    assert.equal(shapes({ ...embedding, ...recurrent(0), ...recurrent(2) }).blockTypes, undefined);
    assert.deepEqual(shapes({}), {});
  });
});

describe('several sources', () => {
  it('that agree are one', () => {
    const two = [source(RG_TINY, 'one'), source({ width: 40, blockTypes: [...RG_TINY.blockTypes] }, 'two')];
    assert.deepEqual(resolveGriffinConfig(two).config, RG_TINY);
  });

  it('that contradict each other are named with both values', () => {
    const error = fails(
      () =>
        resolveGriffinConfig([
          source({ ...RG_TINY, attentionWindowSize: 2048 }, 'preset x'),
          source({ width: 48, blockTypes: cycleBlocks(['recurrent'], 2) }, "the tensors' shapes"),
        ]),
      InputError,
      "The configuration contradicts itself: width is 40 in preset x but 48 in the tensors' shapes; block_types is 8 blocks rrarrarr in preset x but 2 blocks rr in the tensors' shapes.",
    );
    assert.equal((error.details as { contradictions: string[] }).contradictions.length, 2);
  });

  it('give way to --attention-window alone', () => {
    const { config } = resolveGriffinConfig([source(RG_TINY)], 9);
    assert.deepEqual(config, { ...RG_TINY, attentionWindowSize: 9 });
    assert.equal(
      resolveGriffinConfig([source(without('attentionWindowSize'))], 9).config.attentionWindowSize,
      9,
    );
  });

  it('need no window for a Hawk, and no lru_width for attention alone', () => {
    const hawk = { ...without('attentionWindowSize'), blockTypes: cycleBlocks(['recurrent'], 2) };
    assert.deepEqual(resolveGriffinConfig([source(hawk)]).config.blockTypes, ['recurrent', 'recurrent']);
    const attention = { ...without('lruWidth'), blockTypes: cycleBlocks(['attention'], 2) };
    assert.equal(resolveGriffinConfig([source(attention)]).config.lruWidth, 40);
    fails(
      () => resolveGriffinConfig([source(without('lruWidth'))]),
      UsageError,
      /does not say its lru_width\.$/,
    );
  });
});

describe('values that cannot be', () => {
  const cases: [Partial<GriffinConfig>, RegExp][] = [
    [{ width: 0 }, /^The config's width is 0; it must be a whole number from 1 to 16777216\.$/],
    [{ vocabSize: 2 ** 25 }, /vocab_size is 33554432/],
    [{ numHeads: 2.5 }, /num_heads is 2\.5/],
    [{ attentionWindowSize: Number.NaN }, /attention_window_size is NaN/],
    [{ mlpExpandedWidth: -1 }, /mlp_expanded_width is -1/],
    [{ lruWidth: 42 }, /num_heads 5 does not divide lru_width 42/],
    [{ width: 45, lruWidth: 40 }, /width 45 over num_heads 5 gives heads of 9; .* multiple of 4/],
    [{ logitsSoftCap: -1 }, /logits_soft_cap is -1/],
    [{ logitsSoftCap: Number.POSITIVE_INFINITY }, /logits_soft_cap is Infinity/],
    [{ blockTypes: [] }, /has 0 blocks/],
    [{ blockTypes: cycleBlocks(['recurrent'], 5000) }, /has 5000 blocks; 1 to 4096 can be built/],
  ];
  for (const [change, message] of cases) {
    it(`are refused: ${message.source}`, () => {
      fails(() => resolveGriffinConfig([source({ ...RG_TINY, ...change })]), InputError, message);
    });
  }

  it('include a number of layers that is none, or that would fill the memory', () => {
    for (const layers of [1e12, 5e8, 0, -1, 2.5]) {
      const config = { ...json('checkpoints/rg-tiny/hf-bf16/config.json'), num_hidden_layers: layers };
      const message = `config.json has num_hidden_layers ${layers}; 1 to 4096 can be built.`;
      fails(() => huggingFaceSource(config, 'config.json'), InputError, message);
    }
  });
});
