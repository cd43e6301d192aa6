/** Mamba-1, the other recurrent model that Griffins are compared with. */

import { UsageError } from '../../errors.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { fieldName, mergeSources, publishedConfig } from '../config.js';
import type { ConfigInputs, ModelFamily, PreparedModel, UntrainedModel } from '../family.js';
import { alreadyNamed, type NamedTensors } from '../renaming.js';
import type { SourceLayout } from '../source-layout.js';
import { FIELDS, type MambaConfig, validateMambaConfig } from './config.js';
import {
  configFileSource,
  DEFAULT_EPSILON,
  inferredSource,
  type MambaSource,
  modelConfigSource,
} from './config-sources.js';
import { initialMamba } from './initial-weights.js';
import { buildMamba, mambaState } from './mamba.js';
import { detectLayout, toModelNames } from './names.js';
import { MAMBA_PRESETS, presetSource } from './presets.js';

/** Mamba as the rest of the package sees it. */
export const mambaFamily: ModelFamily = {
  name: 'mamba',
  presets: Object.keys(MAMBA_PRESETS),
  detectLayout,
  prepare: prepareMamba,
  untrained: untrainedMamba,
};

function prepareMamba(
  _layout: SourceLayout,
  source: ReadonlyMap<string, LazyTensor>,
  inputs: ConfigInputs,
): PreparedModel {
  const named = toModelNames(source);
  return mambaModel(resolveConfig([...givenSources(inputs), inferredSource(named.tensors)], inputs), named);
}

function untrainedMamba(inputs: ConfigInputs): UntrainedModel {
  const config = resolveConfig(givenSources(inputs), inputs);
  return {
    build: (m) => buildMamba(m, config, { logits: 'last' }),
    initial: initialMamba,
    prepare: (tensors) => mambaModel(config, alreadyNamed(tensors)),
  };
}

function mambaModel(config: MambaConfig, named: NamedTensors): PreparedModel {
  return {
    family: 'mamba',
    config: publishedConfig(config),
    huggingFaceConfig: huggingFaceConfig(config),
    vocabSize: config.vocabSize,
    state: () => mambaState(config),
    notes: [],
    ...named,
    build: (m, options) => buildMamba(m, config, options),
  };
}

/** What is known besides the tensors. */
function givenSources({ modelConfig, huggingFace, preset }: ConfigInputs): MambaSource[] {
  return [
    ...(modelConfig ? [modelConfigSource(modelConfig.json, modelConfig.path)] : []),
    ...(huggingFace ? [configFileSource(huggingFace.json, huggingFace.path)] : []),
    ...(preset ? [presetSource(preset)] : []),
  ];
}

/** Merges the sources, which must agree. @throws InputError for a contradiction, UsageError where something is left unsaid. */
function resolveConfig(sources: readonly MambaSource[], { attentionWindow }: ConfigInputs): MambaConfig {
  if (attentionWindow !== undefined) {
    throw new UsageError('A Mamba has no attention: leave out --attention-window.');
  }
  const said = mergeSources<MambaConfig>(FIELDS, sources, String);
  const config: Partial<MambaConfig> = { layerNormEpsilon: DEFAULT_EPSILON, ...said };
  const missing = FIELDS.filter((field) => config[field] === undefined).map(fieldName);
  if (missing.length === 0) return validateMambaConfig(config as MambaConfig);
  throw new UsageError(`The checkpoint does not say its ${missing.join(', ')}.`, {
    hint: `Name a published model with --preset (${Object.keys(MAMBA_PRESETS).join(', ')}), or give the values with --model-config FILE.json.`,
    details: { missing, known: publishedConfig(config) },
  });
}

/** What transformers would write to `config.json`. */
function huggingFaceConfig(config: MambaConfig): Record<string, unknown> {
  return {
    architectures: ['MambaForCausalLM'],
    model_type: 'mamba',
    ...publishedConfig(config),
    expand: config.intermediateSize / config.hiddenSize,
    hidden_act: 'silu',
    use_bias: false,
    use_conv_bias: true,
    residual_in_fp32: true,
    tie_word_embeddings: true,
  };
}
