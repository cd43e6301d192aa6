/** How much memory sequences take, beside what they would take in a transformer of the same size. */

import { type StateTensor, stateBytes } from '../models/state-tensor.js';

/** The state of one sequence, and what many take beside a transformer's cache. */
export interface StateReport {
  readonly tensors: readonly (StateTensor & { readonly bytes_per_sequence: number })[];
  /** When its rings are full: the most that one sequence ever takes; of a cache, what it takes at the longest context that the model was made for. */
  readonly bytes_per_sequence: number;
  readonly compared_with: ComparedTransformer | null;
  readonly sizes: readonly StateSize[];
}

/**
 * The transformer compared with: as deep and as wide as the model, every layer attending to the whole context by one key-value head
 * (multi-query, as Griffin's own baseline has; De et al. 2024, section 3.1), its cache in the form in which our rings are.
 */
export interface ComparedTransformer {
  readonly layers: number;
  readonly kv_heads: number;
  readonly head_dim: number;
  /** int8: eight bits, and a scale for each key and value. */
  readonly dtype: 'float32' | 'int8';
  readonly bytes_per_token: number;
}

/** Memory of `batch` sequences of `context` tokens each. */
export interface StateSize {
  readonly context: number;
  readonly batch: number;
  readonly state_bytes: number;
  readonly transformer_bytes: number | null;
  /** How many times smaller the state is. */
  readonly ratio: number | null;
}

const FLOAT32_BYTES = 4;

/** Works out the sizes for each context length. A ring grows with its sequence until it is full; the rest has its size from the start. */
export function stateSizes(
  state: readonly StateTensor[],
  config: Readonly<Record<string, unknown>>,
  { contexts, batch }: { readonly contexts: readonly number[]; readonly batch: number },
): StateReport {
  const dtype = state.every((tensor) => tensor.dtype === 'float32') ? 'float32' : 'int8';
  const transformer = equalTransformer(config, dtype);
  const sizes = contexts.map((context) => {
    const bytes = batch * stateBytes(state, context);
    const cache = transformer ? batch * context * transformer.bytes_per_token : null;
    const ratio = cache === null ? null : cache / bytes;
    return { context, batch, state_bytes: bytes, transformer_bytes: cache, ratio };
  });
  const tensors = state.map((tensor) => ({ ...tensor, bytes_per_sequence: stateBytes([tensor]) }));
  return { tensors, bytes_per_sequence: stateBytes(state), compared_with: transformer, sizes };
}

/** Null where the config is not in GriffinConfig's terms. */
function equalTransformer(
  config: Readonly<Record<string, unknown>>,
  dtype: ComparedTransformer['dtype'],
): ComparedTransformer | null {
  const { width, num_heads: heads, block_types: blocks } = config;
  if (typeof width !== 'number' || typeof heads !== 'number' || !Array.isArray(blocks)) return null;
  const [layers, headDim, kvHeads] = [blocks.length, width / heads, 1];
  const rowBytes = dtype === 'float32' ? FLOAT32_BYTES * headDim : headDim + FLOAT32_BYTES;
  return {
    layers,
    kv_heads: kvHeads,
    head_dim: headDim,
    dtype,
    bytes_per_token: 2 * layers * kvHeads * rowBytes,
  };
}
