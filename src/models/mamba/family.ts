/** Mamba-1, the other recurrent model that Griffins are compared with. */

import { InputError, UsageError } from '../../errors.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { fieldName, mergeSources, publishedConfig, withPreset } from '../config.js';
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
  const given = givenSources(inputs);
  refuseMamba2(source.keys());
  const named = toModelNames(source);
  return mambaModel(resolveConfig([...given, inferredSource(named.tensors)], inputs), named);
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
    queryHeads: 0,
    state: () => mambaState(config),
    notes: [],
    ...named,
    build: (m, options) => buildMamba(m, config, options),
  };
}

/** Mamba-2 has other blocks under the same names (mamba_ssm/modules/mamba2.py). */
function refuseMamba2(names: Iterable<string>): void {
  for (const name of names) {
    if (!name.endsWith('.mixer.dt_bias')) continue;
    throw new InputError(`"${name}" belongs to a Mamba-2, which is not supported; only the first Mamba is.`);
  }
}

/** What is known besides the tensors and the preset. */
function givenSources({ modelConfig, huggingFace }: ConfigInputs): MambaSource[] {
  return [
    ...(modelConfig ? [modelConfigSource(modelConfig.json, modelConfig.path)] : []),
    ...(huggingFace ? [configFileSource(huggingFace.json, huggingFace.path)] : []),
  ];
}

/** Merges the sources, which must agree. @throws InputError for a contradiction, UsageError where something is left unsaid. */
function resolveConfig(
  sources: readonly MambaSource[],
  { preset, attentionWindow }: ConfigInputs,
): MambaConfig {
  if (attentionWindow !== undefined) {
    throw new UsageError('A Mamba has no attention: leave out --attention-window.');
  }
  const presets = preset === undefined ? undefined : presetSource(preset);
  const said = mergeSources<MambaConfig>(FIELDS, withPreset(sources, presets), String);
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
