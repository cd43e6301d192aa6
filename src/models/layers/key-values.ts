/** Keys and values of past tokens: how they are stored, and how queries attend to them and to the tokens of the call itself. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { type StateDType, type StateTensor, stateNames } from '../state-tensor.js';
import { floatKeyValues } from './float-key-values.js';
import { int8KeyValues } from './int8-key-values.js';
import type { LayerState } from './model-state.js';

/** Where one layer keeps its keys and values. */
export interface KeyValueStore {
  /** A window's ring, or a cache of all tokens. */
  readonly kind: 'ring' | 'cache';
  /** The window, or the longest context that the model was made for. */
  readonly slots: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** What attention needs of one layer. The heads that share a key-value head are the rows of one product, those of a token side by side. */
export interface AttentionInputs {
  /** Rotated and scaled, `[batch, kv_heads, group*time, head_dim]`. */
  readonly queries: Value;
  /** The call's own, rotated, `[batch, kv_heads, time, head_dim]`. */
  readonly keys: Value;
  readonly values: Value;
  /** Added to the scores: `[batch, 1, time, 1, cached+time]`. */
  readonly mask: Value;
  /** Heads that share a key-value head. */
  readonly group: number;
}

/** One form of storing keys and values. */
export interface KeyValueForm {
  /** The state tensors of one layer. */
  tensors(layer: number, store: KeyValueStore): StateTensor[];
  /** The attended values, `[batch, kv_heads, group*time, head_dim]`. Only the new rows leave the graph; the caller stores them. */
  attend(m: Scope, inputs: AttentionInputs, state: LayerState): Value;
}

/** The forms by the name that `--kv-cache` takes. */
export const KEY_VALUE_FORMS = {
  float32: floatKeyValues,
  int8: int8KeyValues,
} as const satisfies Readonly<Record<string, KeyValueForm>>;

/** How keys and values are stored. */
export type KeyValuePrecision = keyof typeof KEY_VALUE_FORMS;

/** A state tensor of keys or of values. */
export function slotTensor(
  layer: number,
  what: string,
  dtype: StateDType,
  store: KeyValueStore,
): StateTensor {
  const shape = [store.kvHeads, store.slots, store.headDim];
  const axes = ['kv_heads', slotAxis(store), 'head_dim'];
  return { ...stateNames(layer, what), kind: store.kind, dtype, shape, axes };
}

/** A state tensor of one scale a slot. */
export function scaleTensor(layer: number, what: string, store: KeyValueStore): StateTensor {
  const shape = [store.kvHeads, store.slots];
  const axes = ['kv_heads', slotAxis(store)];
  return { ...stateNames(layer, what), kind: store.kind, dtype: 'float32', shape, axes };
}

function slotAxis({ kind }: KeyValueStore): string {
  return kind === 'ring' ? 'window' : 'context';
}
