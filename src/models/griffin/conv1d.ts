/** The causal depthwise convolution in front of the RG-LRU (Griffin paper, section 2.3; recurrentgemma/jax/layers.py, Conv1D). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import type { LayerState } from '../layers/model-state.js';
import type { Sequence } from '../layers/sequence.js';

/** Taps of the filter: each token sees itself and the three before it. */
export const CONV_WIDTH = 4;

/**
 * `y_t = b + sum_j w_j x_{t-3+j}` over `x` `[batch, time, lru_width]`; the state is the last three inputs `[batch, 3, lru_width]`,
 * oldest first. Four shifted multiply-adds: no operator of ONNX Runtime is faster at this width.
 */
export function conv1d(m: Scope, x: Value, width: number, sequence: Sequence, state: LayerState): Value {
  const history = CONV_WIDTH - 1;
  const inputs = m.concat([state.before('conv_state'), x], 1);

  const w = m.weight('w', [CONV_WIDTH, width]);
  let y = m.weight('b', [width]);
  for (let tap = 0; tap < CONV_WIDTH; tap++) {
    const toEnd = tap - history;
    const shifted = m.slice(inputs, 1, tap, toEnd === 0 ? undefined : toEnd);
    y = m.add(m.mul(shifted, m.slice(w, 0, tap, tap + 1)), y);
  }

  // With n tokens that are no padding, the last three inputs start at row n of (state, x).
  const rows = m.unsqueeze(m.add(sequence.length, m.integers([0, 1, 2])), 2);
  state.after('conv_state', m.gatherInBatch(inputs, rows));
  return y;
}
