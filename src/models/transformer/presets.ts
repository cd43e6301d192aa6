/** The published transformers that Griffins are compared with. */

import { presetOf } from '../config.js';
import type { TransformerConfig } from './config.js';
import { defaultSource, type TransformerSource } from './config-sources.js';

const GEMMA = {
  ...defaultSource('gemma').values,
  modelType: 'gemma',
  vocabSize: 256_000,
  headDim: 256,
} as const;
const MISTRAL_7B = {
  ...defaultSource('mistral').values,
  modelType: 'mistral',
  hiddenSize: 4096,
  intermediateSize: 14_336,
  numHiddenLayers: 32,
  numAttentionHeads: 32,
  numKeyValueHeads: 8,
  headDim: 128,
  maxPositionEmbeddings: 32_768,
  rmsNormEps: 1e-5,
} as const;

/**
 * Presets by the name that `--preset` takes: Gemma's (gemma/config.py of gemma_pytorch), Mistral's with its first and its later window and vocabulary, and the Griffin
 * paper's transformer of the widths of its 7B models.
 */
export const TRANSFORMER_PRESETS = {
  'gemma-2b': {
    ...GEMMA,
    hiddenSize: 2048,
    intermediateSize: 16_384,
    numHiddenLayers: 18,
    numAttentionHeads: 8,
    numKeyValueHeads: 1,
  },
  'gemma-7b': {
    ...GEMMA,
    hiddenSize: 3072,
    intermediateSize: 24_576,
    numHiddenLayers: 28,
    numAttentionHeads: 16,
    numKeyValueHeads: 16,
  },
  'mistral-7b-v0.1': { ...MISTRAL_7B, vocabSize: 32_000, slidingWindow: 4096 },
  'mistral-7b-v0.3': { ...MISTRAL_7B, vocabSize: 32_768, ropeTheta: 1e6 },
  'mqa-paper-6b': {
    ...defaultSource('mqa').values,
    modelType: 'mqa',
    vocabSize: 256_000,
    hiddenSize: 4096,
    intermediateSize: 3 * 4096,
    numHiddenLayers: 32,
    numAttentionHeads: 32,
    headDim: 128,
  },
} as const satisfies Readonly<Record<string, Partial<TransformerConfig>>>;

/** A preset as a source. @throws UsageError for a name that is not one. */
export function presetSource(name: string): TransformerSource {
  return presetOf<TransformerConfig>(TRANSFORMER_PRESETS, name);
}
