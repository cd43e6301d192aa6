/** The Griffin family: RecurrentGemma, general Griffin, Hawk, and the same code with only attention blocks. */

import { InputError } from '../../errors.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { publishedConfig } from '../config.js';
import type { ConfigInputs, ModelFamily, PreparedModel, UntrainedModel } from '../family.js';
import { alreadyNamed, type NamedTensors } from '../renaming.js';
import type { SourceLayout } from '../source-layout.js';
import { CONV_WIDTH, type GriffinConfig, headDim } from './config.js';
import {
  type GriffinSource,
  huggingFaceSource,
  inferredSource,
  modelConfigSource,
} from './config-sources.js';
import { buildGriffin, griffinState } from './griffin.js';
import { initialGriffin } from './initial-weights.js';
import { detectLayout, toFlaxNames } from './names.js';
import { GRIFFIN_PRESETS, PRESET_VOCABULARY } from './presets.js';
import { presetSource, resolveGriffinConfig } from './resolve-config.js';

/** Griffin as the rest of the package sees it. */
export const griffinFamily: ModelFamily = {
  name: 'griffin',
  presets: Object.keys(GRIFFIN_PRESETS),
  detectLayout,
  prepare: prepareGriffin,
  untrained: untrainedGriffin,
};

function prepareGriffin(
  layout: SourceLayout,
  source: ReadonlyMap<string, LazyTensor>,
  inputs: ConfigInputs,
): PreparedModel {
  refuseComplexRecurrence(source.keys());
  const named = toFlaxNames(layout, source);
  const { config, notes } = resolveGriffinConfig(
    [...givenSources(inputs), inferredSource(named.tensors)],
    inputs.attentionWindow,
  );
  return griffinModel(config, notes, named);
}

function griffinModel(config: GriffinConfig, notes: readonly string[], named: NamedTensors): PreparedModel {
  return {
    family: 'griffin',
    config: publishedConfig(config),
    huggingFaceConfig: huggingFaceConfig(config),
    vocabSize: config.vocabSize,
    queryHeads: config.blockTypes.includes('attention') ? config.numHeads : 0,
    state: (keyValues) => griffinState(config, keyValues),
    notes,
    ...named,
    build: (m, options) => buildGriffin(m, config, options),
  };
}

function untrainedGriffin(inputs: ConfigInputs): UntrainedModel {
  const given = givenSources(inputs);
  const vocabulary = { label: 'the presets', values: { vocabSize: PRESET_VOCABULARY } };
  const sources = given.some(({ values }) => values.vocabSize) ? given : [...given, vocabulary];
  const { config, notes } = resolveGriffinConfig(sources, inputs.attentionWindow);
  return {
    build: (m) => buildGriffin(m, config, { logits: 'last', keyValues: 'float32' }),
    initial: initialGriffin,
    prepare: (tensors) => griffinModel(config, notes, alreadyNamed(tensors)),
  };
}

/** What is known besides the tensors. */
function givenSources({ modelConfig, huggingFace, preset }: ConfigInputs): GriffinSource[] {
  return [
    ...(modelConfig ? [modelConfigSource(modelConfig.json, modelConfig.path)] : []),
    ...(huggingFace ? [huggingFaceSource(huggingFace.json, huggingFace.path)] : []),
    ...(preset ? [presetSource(preset)] : []),
  ];
}

/** recurrentgemma/jax/layers.py knows an RG-LRU with complex numbers; no published Griffin has one. */
function refuseComplexRecurrence(names: Iterable<string>): void {
  for (const name of names) {
    if (name.endsWith('a_imag_param')) {
      throw new InputError(
        `"${name}" belongs to a complex RG-LRU, which is not supported; only the real one is.`,
      );
    }
  }
}

/** What transformers 5 would write, with the flags of transformers 4 that it still reads. */
function huggingFaceConfig(config: GriffinConfig): Record<string, unknown> {
  return {
    architectures: ['RecurrentGemmaForCausalLM'],
    model_type: 'recurrent_gemma',
    vocab_size: config.vocabSize,
    hidden_size: config.width,
    intermediate_size: 2 * config.mlpExpandedWidth,
    num_hidden_layers: config.blockTypes.length,
    num_attention_heads: config.numHeads,
    num_key_value_heads: 1,
    head_dim: headDim(config),
    lru_width: config.lruWidth,
    block_types: config.blockTypes,
    attention_window_size: config.attentionWindowSize,
    conv1d_width: CONV_WIDTH,
    logits_soft_cap: config.logitsSoftCap,
    embeddings_scale_by_sqrt_dim: config.embeddingsScaleBySqrtDim,
    hidden_activation: 'gelu_pytorch_tanh',
    rms_norm_eps: 1e-6,
    attention_bias: false,
    rope_theta: 10_000,
    partial_rotary_factor: 0.5,
    tie_word_embeddings: true,
  };
}
