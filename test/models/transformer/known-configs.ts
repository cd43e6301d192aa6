/** Configs that tests compare with: those of the golden models, and files modelled on the `config.json` of released ones, without what no model definition looks at. */

import type { TransformerConfig } from '../../../src/models/transformer/config.js';

const COMMON = { vocabSize: 512, ropeTheta: 10_000, ropeScaling: 'none', numHiddenLayers: 3 } as const;

/** The golden models, as the scripts that made them describe them. */
export const TINY: Readonly<Record<string, TransformerConfig>> = {
  'gemma-mqa-tiny': {
    ...COMMON,
    modelType: 'gemma',
    hiddenSize: 42,
    intermediateSize: 86,
    numAttentionHeads: 3,
    numKeyValueHeads: 1,
    headDim: 14,
    slidingWindow: 0,
    maxPositionEmbeddings: 8192,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: true,
  },
  'gemma-mha-tiny': {
    ...COMMON,
    modelType: 'gemma',
    hiddenSize: 44,
    intermediateSize: 78,
    numAttentionHeads: 3,
    numKeyValueHeads: 3,
    headDim: 18,
    slidingWindow: 0,
    maxPositionEmbeddings: 8192,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: true,
  },
  'mistral-tiny': {
    ...COMMON,
    modelType: 'mistral',
    hiddenSize: 48,
    intermediateSize: 76,
    numAttentionHeads: 6,
    numKeyValueHeads: 2,
    headDim: 8,
    slidingWindow: 12,
    maxPositionEmbeddings: 32_768,
    rmsNormEps: 1e-5,
    tieWordEmbeddings: false,
  },
  'llama-tiny': {
    ...COMMON,
    modelType: 'llama',
    hiddenSize: 32,
    intermediateSize: 56,
    numHiddenLayers: 2,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    headDim: 8,
    slidingWindow: 0,
    maxPositionEmbeddings: 131_072,
    ropeTheta: 500_000,
    ropeScaling: { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 256 },
    rmsNormEps: 1e-5,
    tieWordEmbeddings: true,
  },
};

/** google/gemma-2b, written by transformers 4.38: `gelu` there means the tanh form. */
export const GEMMA_2B = {
  architectures: ['GemmaForCausalLM'],
  attention_bias: false,
  head_dim: 256,
  hidden_act: 'gelu',
  hidden_activation: null,
  hidden_size: 2048,
  intermediate_size: 16384,
  max_position_embeddings: 8192,
  model_type: 'gemma',
  num_attention_heads: 8,
  num_hidden_layers: 18,
  num_key_value_heads: 1,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 10000.0,
  transformers_version: '4.38.0.dev0',
  vocab_size: 256000,
};

/** google/gemma-1.1-7b-it. */
export const GEMMA_7B = {
  ...GEMMA_2B,
  hidden_act: 'gelu_pytorch_tanh',
  hidden_activation: 'gelu_pytorch_tanh',
  hidden_size: 3072,
  intermediate_size: 24576,
  num_attention_heads: 16,
  num_hidden_layers: 28,
  num_key_value_heads: 16,
};

/** mistralai/Mistral-7B-v0.1. */
export const MISTRAL_V01 = {
  architectures: ['MistralForCausalLM'],
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 14336,
  max_position_embeddings: 32768,
  model_type: 'mistral',
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 10000.0,
  sliding_window: 4096,
  tie_word_embeddings: false,
  transformers_version: '4.34.0.dev0',
  vocab_size: 32000,
};

/** mistralai/Mistral-7B-Instruct-v0.2: no window. */
export const MISTRAL_V02 = { ...MISTRAL_V01, rope_theta: 1000000.0, sliding_window: null };

/** mistralai/Mistral-7B-v0.3. */
export const MISTRAL_V03 = { ...MISTRAL_V02, vocab_size: 32768 };

/** meta-llama/Llama-3.1-8B. */
export const LLAMA_31 = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 14336,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 8.0,
    low_freq_factor: 1.0,
    high_freq_factor: 4.0,
    original_max_position_embeddings: 8192,
    rope_type: 'llama3',
  },
  rope_theta: 500000.0,
  tie_word_embeddings: false,
  vocab_size: 128256,
};

/** huggyllama/llama-7b, from before there were groups of queries and `rope_theta`. */
export const LLAMA_1 = {
  architectures: ['LlamaForCausalLM'],
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 11008,
  max_position_embeddings: 2048,
  model_type: 'llama',
  num_attention_heads: 32,
  num_hidden_layers: 32,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: false,
  vocab_size: 32000,
};
