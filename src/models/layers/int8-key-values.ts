/**
 * Keys and values in eight bits, each with a scale: a quarter of float32's memory, and products on the processor's 8-bit instructions. The call's own keys are
 * rounded before they are attended to, and what is not a sum of integers is added up in float64: so to the last bit it makes no difference in which call a token came, at which slot it
 * is stored, and how many slots there are.
 */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { unscaledSoftmax } from './attention-weights.js';
import { type KeyValueForm, scaleTensor, slotTensor } from './key-values.js';
import type { LayerState } from './model-state.js';
import { type RoundedRows, roundAround128, roundSigned, roundUnsigned, ZERO_POINT } from './rounding.js';

/** The small form. */
export const int8KeyValues: KeyValueForm = {
  tensors: (layer, store) => [
    slotTensor(layer, 'key', 'uint8', store),
    scaleTensor(layer, 'key_scale', store),
    slotTensor(layer, 'value', 'int8', store),
    scaleTensor(layer, 'value_scale', store),
  ],

  attend(m, inputs, state) {
    const keys = exchange(m, 'key', roundAround128(m, inputs.keys), state);
    const values = exchange(m, 'value', roundSigned(m, inputs.values), state);

    // The keys stand on the left: they are long, and only the right side is laid out anew for the product.
    const queries = roundSigned(m, inputs.queries);
    const right = m.transpose(queries.values, [0, 1, 3, 2]);
    const sums = m.concat(
      [keys.cached, keys.fresh].map((key) => product(m, key, right, ZERO_POINT)),
      2,
    );
    const scores = m.mul(
      m.mul(m.cast(m.transpose(sums, [0, 1, 3, 2]), 'float32'), keys.scale),
      queries.scale,
    );

    // Each value's scale goes into its weight, so that the product is one of integers again.
    const { weights, total } = unscaledSoftmax(m, scores, inputs);
    const rounded = roundUnsigned(m, m.mul(weights, values.scale));
    const [cached, fresh] = m.split(rounded.values, ['cached', 'time']);
    const mixed = m.add(product(m, cached!, values.cached, 0), product(m, fresh!, values.fresh, 0));
    return m.mul(m.cast(mixed, 'float32'), m.div(rounded.scale, total));
  },
};

/** The stored rows and the call's, `[batch, kv_heads, slots, head_dim]`, and the scales of both, `[batch, kv_heads, 1, cached+time]`. */
interface Exchanged {
  readonly cached: Value;
  readonly fresh: Value;
  readonly scale: Value;
}

/** Takes the stored rows in and gives the new ones out. */
function exchange(m: Scope, what: 'key' | 'value', rounded: RoundedRows, state: LayerState): Exchanged {
  const fresh = rounded.values;
  const scale = m.reshape(rounded.scale, fresh.axes.slice(0, -1));
  state.after(what, fresh);
  state.after(`${what}_scale`, scale);
  const scales = m.concat([state.before(`${what}_scale`), scale], 2);
  return { cached: state.before(what), fresh, scale: m.unsqueeze(scales, 2) };
}

/** The exact sums of `(left - zeroPoint) right` of uint8 `[…, rows, inner]` and int8 `[…, inner, columns]`: int32. */
function product(m: Scope, left: Value, right: Value, zeroPoint: number): Value {
  const axes = [...left.axes.slice(0, -1), right.axes.at(-1)!];
  return m.operator(
    'MatMulInteger',
    [left, right, m.graph.constant('uint8', [], [zeroPoint])],
    'int32',
    axes,
  );
}
