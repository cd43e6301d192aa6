/** The gated MLP block of Griffin and Gemma (Griffin paper, section 2.2). */

import type { Value } from '../../graph/graph.js';
import type { Dense } from '../../graph/matrix-form.js';
import type { Scope } from '../../graph/scope.js';
import { reshapeTensor, takeFirst } from '../../graph/transform.js';
import { dense, linear, linearLayers } from './linear.js';

/** `down(gelu(gate(x)) * up(x))`: `[tokens, width]` to the same, through `2 * expandedWidth` columns. */
export function gatedMlp(m: Scope, x: Value, width: number, expandedWidth: number): Value {
  const [gate, value] = linearLayers(m.at('ffw_up'), x, halves(m.at('ffw_up'), width, expandedWidth));
  return linear(m, m.mul(m.gelu(gate!), value!), dense(m, 'ffw_down', expandedWidth, width));
}

/** Half 0 of ffw_up is the gate, half 1 the value (recurrentgemma/jax/modules.py, MLPBlock). */
function halves(m: Scope, width: number, expandedWidth: number): Dense[] {
  const kernels = m.tensor('w', [2, width, expandedWidth]);
  const biases = reshapeTensor(m.tensor('b', [2, 1, 1, expandedWidth]), [2, expandedWidth]);
  return ['gate', 'value'].map((name, half) => ({
    at: m.at(name),
    kernel: takeFirst(kernels, half),
    bias: takeFirst(biases, half),
  }));
}
