/** Arrays that hold state, by the dtype of their tensor. */

import type { StateDType } from '../models/state-tensor.js';

/** The elements of a state tensor. */
export type StateArray = Float32Array | Uint8Array | Int8Array;

/** How each dtype lies in memory. */
export const STATE_ARRAYS = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
} as const satisfies Readonly<Record<StateDType, unknown>>;
