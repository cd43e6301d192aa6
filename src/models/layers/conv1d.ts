/** The causal depthwise convolution in front of a recurrence (Griffin paper, section 2.3; recurrentgemma/jax/layers.py, Conv1D; Mamba paper, section 3.4). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { type StateTensor, stateNames } from '../state-tensor.js';
import type { LayerState } from './model-state.js';
import type { Sequence } from './sequence.js';

/** The shape of one convolution. */
export interface Conv1dConfig {
  /** Channels. */
  readonly width: number;
  /** Of the filter: each token sees itself and `taps - 1` before it. */
  readonly taps: number;
}

/**
 * `y_t = b + sum_j w_j x_{t-taps+1+j}` over `x` `[batch, time, width]`; the state is the last inputs `[batch, taps-1, width]`,
 * oldest first. Shifted multiply-adds: no operator of ONNX Runtime is faster at four taps.
 */
export function conv1d(
  m: Scope,
  { width, taps }: Conv1dConfig,
  x: Value,
  sequence: Sequence,
  state: LayerState,
): Value {
  const history = taps - 1;
  const inputs = m.concat([state.before('conv_state'), x], 1);

  const w = m.weight('w', [taps, width]);
  let y = m.weight('b', [width]);
  for (let tap = 0; tap < taps; tap++) {
    const toEnd = tap - history;
    const shifted = m.slice(inputs, 1, tap, toEnd === 0 ? undefined : toEnd);
    y = m.add(m.mul(shifted, m.slice(w, 0, tap, tap + 1)), y);
  }

  // With n tokens that are no padding, the last inputs start at row n of (state, x).
  const last = m.integers(Array.from({ length: history }, (_, i) => i));
  const rows = m.unsqueeze(m.add(sequence.length, last), 2);
  state.after('conv_state', m.gatherInBatch(inputs, rows));
  return y;
}

/** The state of the convolution in one layer; `axis` names the channels. */
export function convState(layer: number, { width, taps }: Conv1dConfig, axis: string): StateTensor {
  return {
    ...stateNames(layer, 'conv_state'),
    kind: 'carried',
    dtype: 'float32',
    shape: [taps - 1, width],
    axes: ['taps', axis],
  };
}
