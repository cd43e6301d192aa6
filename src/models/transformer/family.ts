/** The transformers that Griffins are compared with: Gemma, Mistral, Llama, and the Griffin paper's own. */

import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { withPreset } from '../config.js';
import type { ConfigInputs, ModelFamily, PreparedModel, UntrainedModel } from '../family.js';
import { initialWeight } from '../initial-weights.js';
import { alreadyNamed, type NamedTensors } from '../renaming.js';
import type { SourceLayout } from '../source-layout.js';
import { KINDS, type TransformerConfig } from './config.js';
import {
  huggingFaceSource,
  inferredSource,
  modelConfigSource,
  type TransformerSource,
} from './config-sources.js';
import { detectLayout, toBlockNames } from './names.js';
import { presetSource, TRANSFORMER_PRESETS } from './presets.js';
import { huggingFaceConfig, publishedConfig } from './published-config.js';
import { type ResolvedConfig, resolveTransformerConfig } from './resolve-config.js';
import { buildTransformer, transformerState } from './transformer.js';

/** Transformers as the rest of the package sees them. */
export const transformerFamily: ModelFamily = {
  name: 'transformer',
  presets: Object.keys(TRANSFORMER_PRESETS),
  detectLayout,
  prepare: prepareTransformer,
  untrained: untrainedTransformer,
};

function prepareTransformer(
  layout: SourceLayout,
  source: ReadonlyMap<string, LazyTensor>,
  inputs: ConfigInputs,
): PreparedModel {
  const { config, notes } = resolveConfig([...givenSources(inputs), inferredSource(layout, source)], inputs);
  return transformerModel(config, notes, toBlockNames(layout, source, config));
}

function transformerModel(
  config: TransformerConfig,
  notes: readonly string[],
  named: NamedTensors,
): PreparedModel {
  return {
    family: 'transformer',
    config: publishedConfig(config),
    huggingFaceConfig: huggingFaceConfig(config),
    vocabSize: config.vocabSize,
    queryHeads: config.numAttentionHeads,
    state: (keyValues) => transformerState(config, keyValues),
    notes,
    ...named,
    build: (m, options) => buildTransformer(m, config, options),
  };
}

function untrainedTransformer(inputs: ConfigInputs): UntrainedModel {
  const { config, notes } = resolveConfig(givenSources(inputs), inputs);
  const { normFromOne } = KINDS[config.modelType];
  return {
    build: (m) => buildTransformer(m, config, { logits: 'last', keyValues: 'float32' }),
    initial: (path, shape) => initialWeight(path, shape, { normFromOne }),
    prepare: (tensors) => transformerModel(config, notes, alreadyNamed(tensors)),
  };
}

/** What is known besides the tensors and the preset. */
function givenSources({ modelConfig, huggingFace }: ConfigInputs): TransformerSource[] {
  return [
    ...(modelConfig ? [modelConfigSource(modelConfig.json, modelConfig.path)] : []),
    ...(huggingFace ? [huggingFaceSource(huggingFace.json, huggingFace.path)] : []),
  ];
}

function resolveConfig(
  sources: readonly TransformerSource[],
  { preset, attentionWindow }: ConfigInputs,
): ResolvedConfig {
  const presets = preset === undefined ? undefined : presetSource(preset);
  return resolveTransformerConfig(withPreset(sources, presets), attentionWindow);
}
