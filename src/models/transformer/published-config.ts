/** A transformer's configuration as Hugging Face writes it, which is what `--model-config` reads too. */

import { publishedConfig as byFieldName } from '../config.js';
import { FIELDS, KINDS, type ModelType, type TransformerConfig } from './config.js';

/** The config, or what is known of one, under Hugging Face's field names. */
export function publishedConfig(config: Partial<TransformerConfig>): Record<string, unknown> {
  const { slidingWindow, ropeScaling } = config;
  const ordered = FIELDS.flatMap((field) => (field in config ? [[field, config[field]] as const] : []));
  return {
    ...byFieldName(Object.fromEntries(ordered)),
    ...(slidingWindow !== undefined && { sliding_window: slidingWindow === 0 ? null : slidingWindow }),
    ...(ropeScaling !== undefined && { rope_scaling: publishedScaling(ropeScaling) }),
  };
}

const CLASSES: Readonly<Record<ModelType, string>> = {
  gemma: 'GemmaForCausalLM',
  mistral: 'MistralForCausalLM',
  llama: 'LlamaForCausalLM',
  // None of transformers' own.
  mqa: 'MqaTransformer',
};

/** What transformers would write to `config.json`. */
export function huggingFaceConfig(config: TransformerConfig): Record<string, unknown> {
  const { model_type, sliding_window, ...rest } = publishedConfig(config);
  const { activation: kind } = KINDS[config.modelType];
  const activation = kind === 'gelu' ? 'gelu_pytorch_tanh' : 'silu';
  return {
    architectures: [CLASSES[config.modelType]],
    model_type,
    ...rest,
    ...((config.modelType === 'mistral' || config.slidingWindow > 0) && { sliding_window }),
    attention_bias: false,
    hidden_act: activation,
    ...(config.modelType === 'gemma' && { hidden_activation: activation }),
  };
}

function publishedScaling(scaling: TransformerConfig['ropeScaling']): Record<string, unknown> | null {
  if (scaling === 'none') return null;
  return {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalPositions,
  };
}
