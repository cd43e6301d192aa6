/** Where a transformer's configuration comes from: Hugging Face's config.json, a file with the same fields, and the tensors' shapes. */

import { InputError } from '../../errors.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { type ConfigSource, countLayers, definedOnly, FieldReader, fieldName, type Json } from '../config.js';
import type { RopeScaling } from '../layers/rope.js';
import type { SourceLayout } from '../source-layout.js';
import {
  FIELDS,
  HUGGING_FACE_TYPES,
  KINDS,
  MODEL_TYPES,
  type ModelType,
  type TransformerConfig,
} from './config.js';
import { plainFlaxName } from './names.js';

/** What one source says. */
export type TransformerSource = ConfigSource<TransformerConfig>;

/**
 * What Hugging Face's config classes take where a file says nothing (transformers/models/<type>/configuration_<type>.py); DeepMind's Gemma has the same
 * values built in.
 */
const DEFAULTS: Readonly<Record<ModelType, Partial<TransformerConfig>>> = {
  gemma: { maxPositionEmbeddings: 8192, rmsNormEps: 1e-6, tieWordEmbeddings: true },
  mistral: {
    numKeyValueHeads: 8,
    maxPositionEmbeddings: 131_072,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: false,
  },
  llama: { maxPositionEmbeddings: 2048, rmsNormEps: 1e-6, tieWordEmbeddings: false },
  mqa: { numKeyValueHeads: 1, maxPositionEmbeddings: 8192, rmsNormEps: 1e-6, tieWordEmbeddings: true },
};

/** The window of a Hugging Face model. Only Mistral's code looks at one, and has one unless the file says `null`. */
function windowIn(type: ModelType | undefined, said: number | undefined): number | undefined {
  if (type === 'mistral') return said ?? 4096;
  return type === undefined ? said : undefined;
}

/** What is taken where no source says otherwise. */
export function defaultSource(type: ModelType): TransformerSource {
  const values = { slidingWindow: 0, ropeTheta: 10_000, ropeScaling: 'none', ...DEFAULTS[type] } as const;
  return { label: `the defaults of ${type}`, values };
}

/**
 * Reads Hugging Face's `config.json` of a Gemma, a Mistral or a Llama, of transformers 4 and 5 alike.
 * @throws InputError for another type of model, and for a value that the model definition does not have.
 */
export function huggingFaceSource(json: Json, label: string): TransformerSource {
  const read = new FieldReader(json, label);
  const type = read.string('model_type');
  read.expect('model_type', ...HUGGING_FACE_TYPES);
  const modelType = type as ModelType | undefined;
  const [width, heads] = [read.number('hidden_size'), read.number('num_attention_heads')];
  const { slidingWindow, ...values } = readFields(read, modelType);
  const window = windowIn(modelType, slidingWindow);
  return {
    label,
    values: {
      ...values,
      ...(window !== undefined && { slidingWindow: window }),
      // Gemma's heads are no part of its width.
      ...(values.headDim === undefined &&
        modelType !== 'gemma' &&
        width &&
        heads && { headDim: width / heads }),
      ...(values.numKeyValueHeads === undefined &&
        modelType === 'llama' &&
        heads && { numKeyValueHeads: heads }),
    },
  };
}

/**
 * Reads a `--model-config` file: any subset of the same fields.
 * @throws InputError for an unknown field or a value of another type.
 */
export function modelConfigSource(json: Json, label: string): TransformerSource {
  const read = new FieldReader(json, label);
  read.expect('model_type', ...MODEL_TYPES);
  const unknown = Object.keys(json).filter((field) => !KNOWN_FIELDS.includes(field));
  if (unknown.length > 0) {
    throw new InputError(`${label} has fields that no transformer here has: ${unknown.join(', ')}.`, {
      hint: `Known fields: ${KNOWN_FIELDS.join(', ')}.`,
    });
  }
  return { label, values: readFields(read, read.string('model_type') as ModelType | undefined) };
}

const KNOWN_FIELDS: readonly string[] = [...FIELDS.map(fieldName), 'rope_parameters'];

function readFields(read: FieldReader, modelType: ModelType | undefined): Partial<TransformerConfig> {
  if (modelType) read.expect('hidden_act', ...ACTIVATIONS[KINDS[modelType].activation]);
  // transformers 4 takes this one, where it is not null, at its word.
  if (modelType === 'gemma') read.expect('hidden_activation', 'gelu_pytorch_tanh');
  read.expect('attention_bias', false);
  read.expect('mlp_bias', false);
  read.expect('use_bidirectional_attention', false);
  // transformers 5 puts what belongs to RoPE into one object.
  const rope = read.object('rope_parameters');
  const ropeReader = rope ? new FieldReader(rope, read.label) : read;
  ropeReader.expect('partial_rotary_factor', 1);
  return definedOnly<TransformerConfig>({
    modelType,
    vocabSize: read.number('vocab_size'),
    hiddenSize: read.number('hidden_size'),
    intermediateSize: read.number('intermediate_size'),
    numHiddenLayers: read.number('num_hidden_layers'),
    numAttentionHeads: read.number('num_attention_heads'),
    numKeyValueHeads: read.number('num_key_value_heads'),
    headDim: read.number('head_dim'),
    slidingWindow: read.json.sliding_window === null ? 0 : read.number('sliding_window'),
    maxPositionEmbeddings: read.number('max_position_embeddings'),
    ropeTheta: ropeReader.number('rope_theta') ?? read.number('rope_theta'),
    ropeScaling: scalingIn(read, rope),
    rmsNormEps: read.number('rms_norm_eps'),
    tieWordEmbeddings: read.boolean('tie_word_embeddings'),
  });
}

/** `"gelu"` in Gemma's files means the tanh form (transformers/models/gemma/configuration_gemma.py). */
const ACTIVATIONS = { gelu: ['gelu', 'gelu_pytorch_tanh'], silu: ['silu', 'swish'] } as const;

/** The scaling in `rope_parameters`, or else in `rope_scaling`, where `null` says that there is none. */
function scalingIn(read: FieldReader, rope: Json | undefined): RopeScaling | 'none' | undefined {
  if (!rope && read.json.rope_scaling === null) return 'none';
  const given = { rope_parameters: rope, rope_scaling: read.object('rope_scaling') };
  const scalings = Object.entries(given).flatMap(([field, each]) =>
    each ? [readScaling(new FieldReader(each, `${read.label}: ${field}`))] : [],
  );
  const [first, other = first] = scalings;
  if (JSON.stringify(first) === JSON.stringify(other)) return first;
  throw new InputError(`${read.label} has a rope_scaling that contradicts its rope_parameters.`);
}

function readScaling(read: FieldReader): RopeScaling | 'none' {
  const field = 'rope_type' in read.json ? 'rope_type' : 'type';
  read.expect(field, 'default', 'llama3');
  if (read.string(field) !== 'llama3') return 'none';
  const [factor, low, high, original] = [
    'factor',
    'low_freq_factor',
    'high_freq_factor',
    'original_max_position_embeddings',
  ].map((name) => {
    const value = read.number(name);
    if (value !== undefined && value > 0) return value;
    throw new InputError(`${read.label} is a llama3 scaling whose ${name} is not a number above 0.`);
  }) as [number, number, number, number];
  if (high <= low)
    throw new InputError(`${read.label} has a high_freq_factor that is not above low_freq_factor.`);
  return { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalPositions: original };
}

/** What shapes tell, from tensors under the source's own names. What they do not tell is left out. */
export function inferredSource(
  layout: SourceLayout,
  tensors: ReadonlyMap<string, LazyTensor>,
): TransformerSource {
  return {
    label: "the tensors' shapes",
    values: definedOnly<TransformerConfig>(INFERENCES[layout](tensors)),
  };
}

type Inferred = { readonly [F in keyof TransformerConfig]?: TransformerConfig[F] | undefined };

const INFERENCES: Readonly<Record<SourceLayout, (tensors: ReadonlyMap<string, LazyTensor>) => Inferred>> = {
  hf(tensors) {
    const [vocabSize, hiddenSize] = tensors.get('model.embed_tokens.weight')?.shape ?? [];
    return {
      vocabSize,
      hiddenSize,
      intermediateSize: tensors.get('model.layers.0.mlp.down_proj.weight')?.shape[1],
      numHiddenLayers: countLayers(tensors, /^model\.layers\.(\d{1,4})\./),
    };
  },
  torch(tensors) {
    const [vocabSize, hiddenSize] = tensors.get('embedder.weight')?.shape ?? [];
    return {
      modelType: 'gemma',
      vocabSize,
      hiddenSize,
      intermediateSize: tensors.get('model.layers.0.mlp.down_proj.weight')?.shape[1],
      numHiddenLayers: countLayers(tensors, /^model\.layers\.(\d{1,4})\./),
    };
  },
  flax(tensors) {
    const shapes = new Map([...tensors].map(([name, { shape }]) => [plainFlaxName(name), shape]));
    const [vocabSize, hiddenSize] = shapes.get('embedder.input_embedding') ?? [];
    const attention = (name: string) => shapes.get(`layer_0.attn.${name}`);
    const [heads, headDim] = attention('attn_vec_einsum') ?? [];
    return {
      modelType: 'gemma',
      vocabSize,
      hiddenSize,
      intermediateSize: shapes.get('layer_0.mlp.linear')?.[0],
      numHiddenLayers: countLayers(shapes, /^layer_(\d{1,4})\./),
      numAttentionHeads: heads,
      numKeyValueHeads: attention('kv_einsum')?.[1] ?? attention('qkv_einsum')?.[1],
      headDim,
    };
  },
};
