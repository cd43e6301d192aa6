/** Keys and values in float32. */

import type { Value } from '../../graph/graph.js';
import { maskedSoftmax } from './attention-weights.js';
import { type KeyValueForm, slotTensor } from './key-values.js';
import type { LayerState } from './model-state.js';

/** The exact form. */
export const floatKeyValues: KeyValueForm = {
  tensors: (layer, store) => ['key', 'value'].map((what) => slotTensor(layer, what, 'float32', store)),

  attend(m, inputs, state) {
    const { queries } = inputs;
    const keys = exchange('key', inputs.keys, state);
    const values = exchange('value', inputs.values, state);
    // One product for each key-value head, which reads its keys once and in place.
    const scores = m.concat(
      [keys.cached, keys.fresh].map((key) => m.matmul(queries, m.transpose(key, [0, 1, 3, 2]))),
      3,
    );
    const [cached, fresh] = m.split(maskedSoftmax(m, scores, inputs), ['cached', 'time']);
    return m.add(m.matmul(cached!, values.cached), m.matmul(fresh!, values.fresh));
  },
};

/** Takes the stored rows in and gives the new ones out, both `[batch, kv_heads, slots, head_dim]`. */
function exchange(what: 'key' | 'value', fresh: Value, state: LayerState): { cached: Value; fresh: Value } {
  state.after(what, fresh);
  return { cached: state.before(what), fresh };
}
