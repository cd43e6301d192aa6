/** The gated MLP block of Griffin and Gemma (Griffin paper, section 2.2). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { reshapeTensor, swapAxes } from '../../graph/transform.js';
import { dense, linear } from './linear.js';

/** `down(gelu(gate(x)) * up(x))`: `[batch, time, width]` to the same, through `2 * expandedWidth` columns. */
export function gatedMlp(m: Scope, x: Value, width: number, expandedWidth: number): Value {
  const up = m.at('ffw_up');
  const kernel = reshapeTensor(swapAxes(up.tensor('w', [2, width, expandedWidth])), [
    width,
    2 * expandedWidth,
  ]);
  const bias = reshapeTensor(up.tensor('b', [2, 1, 1, expandedWidth]), [2 * expandedWidth]);

  // Half 0 of ffw_up is the gate, half 1 the value (recurrentgemma/jax/modules.py, MLPBlock).
  const [gate, value] = up.split(linear(up, x, { kernel, bias }), [expandedWidth, expandedWidth]);
  return linear(m.at('ffw_down'), m.mul(m.gelu(gate!), value!), dense(m, 'ffw_down', expandedWidth, width));
}
