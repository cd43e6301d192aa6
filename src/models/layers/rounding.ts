/** Rounding of values to eight bits while the model runs, with one scale for each row. */

import { multiplyAxes } from '../../graph/axis.js';
import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';

/** Rounded values: `(values - zeroPoint) * scale`. */
export interface RoundedRows {
  /** uint8 or int8 `[…, size]`. */
  readonly values: Value;
  /** float32 `[…, 1]`. */
  readonly scale: Value;
}

/** What unsigned values of {@link roundAround128} stand around. */
export const ZERO_POINT = 128;

/** Signs and sizes up to 127 as uint8 around 128: what onnxruntime's products want on their left (signed ones are 10 to 30 times slower there). */
export function roundAround128(m: Scope, x: Value): RoundedRows {
  return round(m, x, m.abs(x), 127, m.graph.constant('uint8', [1], [ZERO_POINT]));
}

/** Signs and sizes up to 127 as int8: what stands on the right. */
export function roundSigned(m: Scope, x: Value): RoundedRows {
  return round(m, x, m.abs(x), 127, m.graph.constant('int8', [1], [0]));
}

/** Values that are never negative as uint8 from 0 on. */
export function roundUnsigned(m: Scope, x: Value): RoundedRows {
  return round(m, x, x, 255, m.graph.constant('uint8', [1], [0]));
}

/**
 * A row of zeros gets the scale 0: whatever 0 / 0 is rounded to, it stands for 0.
 * @param sizes the absolute values of `x`.
 */
function round(m: Scope, x: Value, sizes: Value, largest: number, zeroPoint: Value): RoundedRows {
  const leading = x.axes.slice(0, -1);
  const rows = multiplyAxes(leading);
  const scale = m.mul(m.maxLast(sizes), 1 / largest);
  // Along axis 0 the scales are one list, so the rows are made one list too.
  const flat = leading.length === 1 ? x : m.reshape(x, [rows, x.axes.at(-1)!]);
  const inputs = [flat, m.reshape(scale, [rows]), m.expand(zeroPoint, [rows])];
  const values = m.operator('QuantizeLinear', inputs, zeroPoint.dtype, flat.axes, { axis: 0 });
  return { values: leading.length === 1 ? values : m.reshape(values, x.axes), scale };
}
