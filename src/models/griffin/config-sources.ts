/** Where a Griffin's configuration can come from: Hugging Face's config.json, a file in DeepMind's terms, and the tensors' shapes. */

import { InputError } from '../../errors.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { type ConfigSource, definedOnly, FieldReader, fieldName, type Json, MAX_LAYERS } from '../config.js';
import { type BlockType, CONV_WIDTH, type GriffinConfig } from './config.js';
import { cycleBlocks } from './presets.js';

/** What one source says. */
export type GriffinSource = ConfigSource<GriffinConfig>;

/**
 * Reads a config in GriffinConfig's own field names (`recurrentgemma/common.py`); any subset of them.
 * @throws InputError for an unknown field or a value of another type.
 */
export function modelConfigSource(json: Json, label: string): GriffinSource {
  const read = new FieldReader(json, label);
  const values = {
    vocabSize: read.number('vocab_size'),
    width: read.number('width'),
    mlpExpandedWidth: read.number('mlp_expanded_width'),
    numHeads: read.number('num_heads'),
    lruWidth: read.number('lru_width'),
    blockTypes: readBlockTypes(read, 'block_types'),
    embeddingsScaleBySqrtDim: read.boolean('embeddings_scale_by_sqrt_dim'),
    attentionWindowSize: read.number('attention_window_size'),
    logitsSoftCap: read.number('logits_soft_cap'),
  };
  const known = [...Object.keys(values).map(fieldName), 'scan_type', 'model_type'];
  const unknown = Object.keys(json).filter((field) => !known.includes(field));
  if (unknown.length > 0) {
    throw new InputError(`${label} has fields that no Griffin has: ${unknown.join(', ')}.`, {
      hint: `Known fields: ${known.join(', ')}.`,
    });
  }
  return { label, values: definedOnly<GriffinConfig>(values) };
}

/**
 * Reads Hugging Face's `config.json` of a RecurrentGemma, of transformers 4 (`_block_types`) and 5 (`block_types`) alike.
 * @throws InputError for a value that this model definition does not have (another activation, more key heads, …).
 */
export function huggingFaceSource(json: Json, label: string): GriffinSource {
  const read = new FieldReader(json, label);
  const width = read.number('hidden_size');
  const numHeads = read.number('num_attention_heads');
  const rope = new FieldReader(read.object('rope_parameters') ?? json, label);
  read.expect('num_key_value_heads', 1);
  read.expect('conv1d_width', CONV_WIDTH);
  read.expect('rms_norm_eps', 1e-6);
  read.expect('hidden_activation', 'gelu_pytorch_tanh');
  read.expect('attention_bias', false);
  rope.expect('partial_rotary_factor', 0.5);
  rope.expect('rope_theta', 10_000);
  if (width && numHeads) read.expect('head_dim', width / numHeads);

  const layers = read.number('num_hidden_layers');
  if (layers !== undefined && !(Number.isInteger(layers) && layers >= 1 && layers <= MAX_LAYERS)) {
    throw new InputError(`${label} has num_hidden_layers ${layers}; 1 to ${MAX_LAYERS} can be built.`);
  }
  const pattern = readBlockTypes(read, 'block_types') ?? readBlockTypes(read, '_block_types');
  const bothHalves = read.number('intermediate_size');
  return {
    label,
    values: definedOnly<GriffinConfig>({
      vocabSize: read.number('vocab_size'),
      width,
      mlpExpandedWidth: bothHalves === undefined ? undefined : bothHalves / 2,
      numHeads,
      lruWidth: read.number('lru_width') ?? width,
      blockTypes: pattern && layers ? cycleBlocks(pattern, layers) : undefined,
      // transformers 5 no longer writes the flag: its code always scales.
      embeddingsScaleBySqrtDim: read.boolean('embeddings_scale_by_sqrt_dim') ?? true,
      attentionWindowSize: read.number('attention_window_size'),
      logitsSoftCap: read.number('logits_soft_cap'),
    }),
  };
}

/** Infers what shapes tell, from tensors under DeepMind's Flax names; what they do not tell is left out. */
export function inferredSource(tensors: ReadonlyMap<string, LazyTensor>): GriffinSource {
  const blockTypes = inferBlockTypes([...tensors.keys()]);
  const shapeOf = (type: BlockType | undefined, name: string) => {
    const layer = type ? blockTypes.indexOf(type) : 0;
    return tensors.get(`blocks.${layer}.${name}`)?.shape;
  };
  const [vocabSize, width] = tensors.get('embedder.input_embedding')?.shape ?? [];
  const gate = shapeOf('recurrent', 'recurrent_block.rg_lru.a_gate.w');
  const head = shapeOf('attention', 'attention_block.proj_k.kernel')?.[1];
  return {
    label: "the tensors' shapes",
    values: definedOnly<GriffinConfig>({
      vocabSize,
      width,
      mlpExpandedWidth: shapeOf(undefined, 'mlp_block.ffw_up.w')?.[2],
      numHeads: gate?.[0] ?? (width && head ? width / head : undefined),
      lruWidth: gate ? gate[0]! * gate[1]! : undefined,
      blockTypes: blockTypes.length > 0 ? blockTypes : undefined,
    }),
  };
}

function inferBlockTypes(names: readonly string[]): BlockType[] {
  const types: BlockType[] = [];
  for (const name of names) {
    const match = /^blocks\.(\d{1,4})\.(recurrent|attention)_block\./.exec(name);
    if (match) types[Number(match[1])] = match[2] as BlockType;
  }
  // A hole is a block of which every temporal tensor is missing; the pattern is unknown then.
  return Array.from(types).includes(undefined as never) ? [] : types;
}

/** A list of block types, in small or in capital letters. */
function readBlockTypes(read: FieldReader, field: string): BlockType[] | undefined {
  const isName = (value: unknown) => typeof value === 'string' && /^(recurrent|attention)$/i.test(value);
  const isList = (value: unknown): value is string[] =>
    Array.isArray(value) && value.length > 0 && value.every(isName);
  const names = read.read(field, 'a list of "recurrent" and "attention"', isList);
  return names?.map((name) => name.toLowerCase() as BlockType);
}
