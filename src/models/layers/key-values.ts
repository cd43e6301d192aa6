/** Keys and values of past tokens: how a ring of them is stored, and how queries attend to it and to the tokens of the call itself. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import type { StateTensor } from '../state-tensor.js';
import { floatKeyValues } from './float-key-values.js';
import { int8KeyValues } from './int8-key-values.js';
import type { LayerState } from './model-state.js';

/** What attention needs of one layer, with one key-value head. */
export interface AttentionInputs {
  /** Rotated and scaled, `[batch, heads*time, head_dim]`, the heads of a token side by side. */
  readonly queries: Value;
  /** The call's own, rotated, `[batch, time, 1, head_dim]`. */
  readonly keys: Value;
  readonly values: Value;
  /** Added to the scores: `[batch, time, 1, cached+time]`. */
  readonly mask: Value;
  readonly heads: number;
}

/** One form of storing keys and values. */
export interface KeyValueForm {
  /** The tensors of one layer's ring. */
  ring(layer: number, window: number, headDim: number): StateTensor[];
  /** The attended values, `[batch, heads*time, head_dim]`. Only the new rows leave the graph; the caller writes the ring. */
  attend(m: Scope, inputs: AttentionInputs, state: LayerState): Value;
}

/** The forms by the name that `--kv-cache` takes. */
export const KEY_VALUE_FORMS = {
  float32: floatKeyValues,
  int8: int8KeyValues,
} as const satisfies Readonly<Record<string, KeyValueForm>>;

/** How keys and values are stored. */
export type KeyValuePrecision = keyof typeof KEY_VALUE_FORMS;
