/** The configuration of a transformer, in the field names of Hugging Face's config.json in camel case. */

import { InputError } from '../../errors.js';
import { MAX_LAYERS, requireSizes } from '../config.js';
import type { RopeScaling } from '../layers/rope.js';

/** The kinds that Hugging Face has, by their `model_type`. */
export const HUGGING_FACE_TYPES = ['gemma', 'mistral', 'llama'] as const;

/** Each kind that can be built: those, and the Griffin paper's own baseline, the MQA transformer (section 3.1). */
export const MODEL_TYPES = [...HUGGING_FACE_TYPES, 'mqa'] as const;

/** Which kind a transformer is: what its config does not say in numbers. */
export type ModelType = (typeof MODEL_TYPES)[number];

/** Everything that shapes or changes what a transformer computes. */
export interface TransformerConfig {
  readonly modelType: ModelType;
  readonly vocabSize: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Columns of one half of the MLP. */
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** 1: multi-query attention; as many as heads: multi-head; between: grouped-query. */
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  /** Keys that a query sees, itself included; 0 for all of them. */
  readonly slidingWindow: number;
  /** Tokens of the longest sequence that the model was trained for. */
  readonly maxPositionEmbeddings: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | 'none';
  readonly rmsNormEps: number;
  /** Whether the head's matrix is the embedding. */
  readonly tieWordEmbeddings: boolean;
}

/** The fields, in the order in which they are printed. */
export const FIELDS = [
  'modelType',
  'vocabSize',
  'hiddenSize',
  'intermediateSize',
  'numHiddenLayers',
  'numAttentionHeads',
  'numKeyValueHeads',
  'headDim',
  'slidingWindow',
  'maxPositionEmbeddings',
  'ropeTheta',
  'ropeScaling',
  'rmsNormEps',
  'tieWordEmbeddings',
] as const satisfies readonly (keyof TransformerConfig)[];

/** What no config says, because it is the same for all models of a kind (transformers/models/{gemma,mistral,llama}/modeling_*.py). */
export interface Kind {
  readonly activation: 'gelu' | 'silu';
  /** Whether norms store their scale's distance from 1. */
  readonly normFromOne: boolean;
  /** Whether embeddings are multiplied by the square root of their width. */
  readonly scalesEmbeddings: boolean;
  /** Whether the MLP and the output of attention have biases. */
  readonly biases: boolean;
  /** The part of each head that is rotated, from its beginning on. */
  readonly rotatedPart: number;
}

const GEMMA: Kind = {
  activation: 'gelu',
  normFromOne: true,
  scalesEmbeddings: true,
  biases: false,
  rotatedPart: 1,
};
const LLAMA: Kind = { ...GEMMA, activation: 'silu', normFromOne: false, scalesEmbeddings: false };

/** The kinds by their type. */
export const KINDS: Readonly<Record<ModelType, Kind>> = {
  gemma: GEMMA,
  mistral: LLAMA,
  llama: LLAMA,
  // A Griffin of attention blocks alone, which sees everything: its MLP has biases, and it rotates half of each head.
  mqa: { ...GEMMA, scalesEmbeddings: false, biases: true, rotatedPart: 0.5 },
};

/**
 * Returns the config if a model can be built of it.
 * @throws InputError that names the field and the value that cannot be.
 */
export function validateTransformerConfig(config: TransformerConfig): TransformerConfig {
  requireSizes(config, [
    'vocabSize',
    'hiddenSize',
    'intermediateSize',
    'numAttentionHeads',
    'numKeyValueHeads',
    'headDim',
    'maxPositionEmbeddings',
  ]);
  requireSizes(config, ['numHiddenLayers'], MAX_LAYERS);
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim, slidingWindow: window } = config;
  if (heads % kvHeads !== 0) {
    throw new InputError(
      `The config's num_key_value_heads ${kvHeads} does not divide num_attention_heads ${heads}.`,
    );
  }
  const pairs = 2 / KINDS[config.modelType].rotatedPart;
  if (headDim % pairs !== 0) {
    throw new InputError(
      `The config's head_dim is ${headDim}; heads are rotated in pairs, so it must be a multiple of ${pairs}.`,
    );
  }
  if (window !== 0 && !(Number.isSafeInteger(window) && window >= 2)) {
    throw new InputError(
      `The config's sliding_window is ${window}; it must be null (none) or a whole number from 2 on.`,
    );
  }
  for (const field of ['ropeTheta', 'rmsNormEps'] as const) {
    const value = config[field];
    if (Number.isFinite(value) && value > 0) continue;
    const name = field === 'ropeTheta' ? 'rope_theta' : 'rms_norm_eps';
    throw new InputError(`The config's ${name} is ${value}; it must be more than 0.`);
  }
  return config;
}
