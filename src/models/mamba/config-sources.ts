/** Where a Mamba's configuration comes from: Hugging Face's config.json, that of state-spaces, a file with Hugging Face's fields, and the tensors' shapes. */

import { InputError } from '../../errors.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { type ConfigSource, countLayers, definedOnly, FieldReader, fieldName, type Json } from '../config.js';
import { FIELDS, type MambaConfig } from './config.js';

/** What one source says. */
export type MambaSource = ConfigSource<MambaConfig>;

/** Both implementations' epsilon, where nothing else is said. */
export const DEFAULT_EPSILON = 1e-5;

/**
 * Reads a `config.json`, Hugging Face's (`hidden_size`) or that of state-spaces (`d_model`); files that were converted from the latter to the former have both.
 * @throws InputError for a value that the model definition does not have.
 */
export function configFileSource(json: Json, label: string): MambaSource {
  const isStateSpaces = 'd_model' in json && !('hidden_size' in json);
  return isStateSpaces ? stateSpacesSource(json, label) : huggingFaceSource(json, label);
}

/** transformers/models/mamba/configuration_mamba.py. */
function huggingFaceSource(json: Json, label: string): MambaSource {
  const read = new FieldReader(json, label);
  read.expect('model_type', 'mamba');
  read.expect('hidden_act', 'silu');
  read.expect('use_bias', false);
  read.expect('use_conv_bias', true);
  read.expect('tie_word_embeddings', true);
  const expand = read.number('expand');
  const values = readFields(read);
  const { hiddenSize, intermediateSize } = values;
  const expanded = expand && hiddenSize && { intermediateSize: expand * hiddenSize };
  return { label, values: { ...values, ...(intermediateSize === undefined && expanded) } };
}

/** mamba_ssm/models/config_mamba.py. The vocabulary is left to the tensors: their rows are padded to a multiple of `pad_vocab_size_multiple`. */
function stateSpacesSource(json: Json, label: string): MambaSource {
  const read = new FieldReader(json, label);
  const ssm = new FieldReader(read.object('ssm_cfg') ?? {}, `${label}, ssm_cfg,`);
  read.expect('rms_norm', true);
  read.expect('d_intermediate', 0);
  read.expect('tie_embeddings', true);
  ssm.expect('layer', 'Mamba1');
  ssm.expect('bias', false);
  ssm.expect('conv_bias', true);
  const attention = json.attn_layer_idx;
  if (Array.isArray(attention) && attention.length > 0) {
    throw new InputError(`${label} has attention in some layers (attn_layer_idx), which is not supported.`);
  }
  const width = read.number('d_model');
  const expand = ssm.number('expand');
  return {
    label,
    values: definedOnly<MambaConfig>({
      hiddenSize: width,
      intermediateSize: width && expand ? expand * width : undefined,
      stateSize: ssm.number('d_state'),
      convKernel: ssm.number('d_conv'),
      timeStepRank: rank(ssm, 'dt_rank'),
      numHiddenLayers: read.number('n_layer'),
    }),
  };
}

/** Reads a `--model-config` file: any subset of the fields. @throws InputError for an unknown field or a value of another type. */
export function modelConfigSource(json: Json, label: string): MambaSource {
  const known = [...FIELDS.map(fieldName), 'model_type', 'expand'];
  const unknown = Object.keys(json).filter((field) => !known.includes(field));
  if (unknown.length > 0) {
    throw new InputError(`${label} has fields that no Mamba has: ${unknown.join(', ')}.`, {
      hint: `Known fields: ${known.join(', ')}.`,
    });
  }
  return huggingFaceSource(json, label);
}

function readFields(read: FieldReader): Partial<MambaConfig> {
  return definedOnly<MambaConfig>({
    vocabSize: read.number('vocab_size'),
    hiddenSize: read.number('hidden_size'),
    intermediateSize: read.number('intermediate_size'),
    stateSize: read.number('state_size'),
    convKernel: read.number('conv_kernel'),
    timeStepRank: rank(read, 'time_step_rank'),
    numHiddenLayers: read.number('num_hidden_layers'),
    layerNormEpsilon: read.number('layer_norm_epsilon'),
  });
}

/** `"auto"` is a sixteenth of the width, which the shapes say as well. */
function rank(read: FieldReader, field: string): number | undefined {
  return read.json[field] === 'auto' ? undefined : read.number(field);
}

/** What shapes tell, from tensors under the model's names: everything but the norms' epsilon. */
export function inferredSource(tensors: ReadonlyMap<string, LazyTensor>): MambaSource {
  const shape = (name: string) => tensors.get(`blocks.0.mixer.${name}`)?.shape;
  const [vocabSize, hiddenSize] = tensors.get('embedder.input_embedding')?.shape ?? [];
  const [stateSize, intermediateSize] = shape('A_log') ?? [];
  return {
    label: "the tensors' shapes",
    values: definedOnly<MambaConfig>({
      vocabSize,
      hiddenSize,
      intermediateSize,
      stateSize,
      convKernel: shape('conv_1d.w')?.[0],
      timeStepRank: shape('dt_proj.kernel')?.[0],
      numHiddenLayers: countLayers(tensors, /^blocks\.(\d{1,4})\./),
    }),
  };
}
