/** The transformers that Griffins are compared with: Gemma, Mistral and Llama. */

import type { LazyTensor } from '../../graph/lazy-tensor.js';
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
import { resolveTransformerConfig } from './resolve-config.js';
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
  const sources = [...givenSources(inputs), inferredSource(layout, source)];
  const { config, notes } = resolveTransformerConfig(sources, inputs.attentionWindow);
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
    state: (keyValues) => transformerState(config, keyValues),
    notes,
    ...named,
    build: (m, options) => buildTransformer(m, config, options),
  };
}

function untrainedTransformer(inputs: ConfigInputs): UntrainedModel {
  const { config, notes } = resolveTransformerConfig(givenSources(inputs), inputs.attentionWindow);
  const { normFromOne } = KINDS[config.modelType];
  return {
    build: (m) => buildTransformer(m, config, { logits: 'last', keyValues: 'float32' }),
    initial: (path, shape) => initialWeight(path, shape, { normFromOne }),
    prepare: (tensors) => transformerModel(config, notes, alreadyNamed(tensors)),
  };
}

/** What is known besides the tensors. */
function givenSources({ modelConfig, huggingFace, preset }: ConfigInputs): TransformerSource[] {
  return [
    ...(modelConfig ? [modelConfigSource(modelConfig.json, modelConfig.path)] : []),
    ...(huggingFace ? [huggingFaceSource(huggingFace.json, huggingFace.path)] : []),
    ...(preset ? [presetSource(preset)] : []),
  ];
}
