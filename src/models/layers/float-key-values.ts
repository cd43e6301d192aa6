/** A ring of float32 keys and values. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { type StateTensor, stateNames } from '../state-tensor.js';
import { maskedSoftmax } from './attention-weights.js';
import type { KeyValueForm } from './key-values.js';
import type { LayerState } from './model-state.js';

/** The exact form. */
export const floatKeyValues: KeyValueForm = {
  ring: (layer, window, headDim) => [
    ring(layer, 'key', window, headDim),
    ring(layer, 'value', window, headDim),
  ],

  attend(m, inputs, state) {
    const { queries } = inputs;
    const keys = exchange(m, 'key', inputs.keys, state);
    const values = exchange(m, 'value', inputs.values, state);
    // With one key head, all heads of a sequence are the rows of one product, which reads the ring once and in place.
    const scores = m.concat(
      [keys.cached, keys.fresh].map((key) => m.matmul(queries, m.transpose(key, [0, 2, 1]))),
      2,
    );
    const [cached, fresh] = m.split(maskedSoftmax(m, scores, inputs), ['cached', 'time']);
    return m.add(m.matmul(cached!, values.cached), m.matmul(fresh!, values.fresh));
  },
};

function ring(layer: number, what: string, window: number, headDim: number): StateTensor {
  return {
    ...stateNames(layer, what),
    kind: 'ring',
    dtype: 'float32',
    shape: [window, 1, headDim],
    axes: ['window', 'kv_heads', 'head_dim'],
  };
}

/** Takes the ring in and gives the new rows out, both `[batch, slots, 1, head_dim]`; returns them without the head axis. */
function exchange(
  m: Scope,
  what: 'key' | 'value',
  fresh: Value,
  state: LayerState,
): { cached: Value; fresh: Value } {
  const size = fresh.axes[3]!;
  state.after(what, fresh);
  return {
    cached: m.reshape(state.before(what), ['batch', 'cached', size]),
    fresh: m.reshape(fresh, ['batch', 'time', size]),
  };
}
