/**
 * A ring of keys and values in eight bits, each with a scale: a quarter of float32's memory, and products on the processor's 8-bit instructions. The call's own keys are
 * rounded before they are attended to, and what is not a sum of integers is added up in float64: so to the last bit it makes no difference in which call a token came, where it
 * stands in the ring, and how long the ring is.
 */

import type { Axis } from '../../graph/axis.js';
import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { type StateTensor, stateNames } from '../state-tensor.js';
import { unscaledSoftmax } from './attention-weights.js';
import type { KeyValueForm } from './key-values.js';
import type { LayerState } from './model-state.js';
import { type RoundedRows, roundAround128, roundSigned, roundUnsigned, ZERO_POINT } from './rounding.js';

/** The small form. */
export const int8KeyValues: KeyValueForm = {
  ring: (layer, window, headDim) => [
    ring(layer, 'key', 'uint8', window, headDim),
    scaleRing(layer, 'key', window),
    ring(layer, 'value', 'int8', window, headDim),
    scaleRing(layer, 'value', window),
  ],

  attend(m, inputs, state) {
    const keys = exchange(m, 'key', roundAround128(m, inputs.keys), state);
    const values = exchange(m, 'value', roundSigned(m, inputs.values), state);

    // The keys stand on the left: they are long, and only the right side is laid out anew for the product.
    const queries = roundSigned(m, inputs.queries);
    const right = m.transpose(queries.values, [0, 2, 1]);
    const sums = m.concat(
      [keys.cached, keys.fresh].map((key) => product(m, key, right, ZERO_POINT)),
      1,
    );
    const scores = m.mul(m.mul(m.cast(m.transpose(sums, [0, 2, 1]), 'float32'), keys.scale), queries.scale);

    // Each value's scale goes into its weight, so that the product is one of integers again.
    const { weights, total } = unscaledSoftmax(m, scores, inputs);
    const rounded = roundUnsigned(m, m.mul(weights, values.scale));
    const [cached, fresh] = m.split(rounded.values, ['cached', 'time']);
    const mixed = m.add(product(m, cached!, values.cached, 0), product(m, fresh!, values.fresh, 0));
    return m.mul(m.cast(mixed, 'float32'), m.div(rounded.scale, total));
  },
};

function ring(
  layer: number,
  what: string,
  dtype: 'uint8' | 'int8',
  window: number,
  headDim: number,
): StateTensor {
  const shape = [window, 1, headDim];
  return { ...stateNames(layer, what), kind: 'ring', dtype, shape, axes: ['window', 'kv_heads', 'head_dim'] };
}

function scaleRing(layer: number, what: string, window: number): StateTensor {
  const names = stateNames(layer, `${what}_scale`);
  return { ...names, kind: 'ring', dtype: 'float32', shape: [window, 1], axes: ['window', 'kv_heads'] };
}

/** The ring's rows and the call's, `[batch, slots, head_dim]`, and the scales of both, `[batch, 1, cached+time]`. */
interface Exchanged {
  readonly cached: Value;
  readonly fresh: Value;
  readonly scale: Value;
}

/** Takes the ring in and gives the new rows out. */
function exchange(m: Scope, what: 'key' | 'value', rounded: RoundedRows, state: LayerState): Exchanged {
  const size = rounded.values.axes[3]!;
  const rows = (value: Value, slots: Axis) => m.reshape(value, ['batch', slots, size]);
  const scales = (value: Value, slots: Axis) => m.reshape(value, ['batch', 1, slots]);
  const scale = m.reshape(rounded.scale, ['batch', 'time', 1]);
  state.after(what, rounded.values);
  state.after(`${what}_scale`, scale);
  return {
    cached: rows(state.before(what), 'cached'),
    fresh: rows(rounded.values, 'time'),
    scale: m.concat([scales(state.before(`${what}_scale`), 'cached'), scales(scale, 'time')], 2),
  };
}

/** The exact sums of `(left - zeroPoint) right` of uint8 `[batch, rows, inner]` and int8 `[batch, inner, columns]`: int32. */
function product(m: Scope, left: Value, right: Value, zeroPoint: number): Value {
  const axes = [left.axes[0]!, left.axes[1]!, right.axes[2]!];
  return m.operator(
    'MatMulInteger',
    [left, right, m.graph.constant('uint8', [], [zeroPoint])],
    'int32',
    axes,
  );
}
