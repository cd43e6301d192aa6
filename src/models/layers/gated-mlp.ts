/** The gated MLP block of Griffin, Gemma and the Llamas (Griffin paper, section 2.2). */

import type { Value } from '../../graph/graph.js';
import type { Dense } from '../../graph/matrix-form.js';
import type { Scope } from '../../graph/scope.js';
import { reshapeTensor, takeFirst } from '../../graph/transform.js';
import { dense, linear, linearLayers } from './linear.js';

/** The shape of the block. */
export interface MlpConfig {
  readonly width: number;
  /** Columns of one half. */
  readonly expandedWidth: number;
  /** What the gate goes through: GeLU in its tanh form, or `x sigmoid(x)`. */
  readonly activation: 'gelu' | 'silu';
  readonly bias: boolean;
}

/** `down(activation(gate(x)) * up(x))`: `[tokens, width]` to the same. */
export function gatedMlp(m: Scope, x: Value, config: MlpConfig): Value {
  const { width, expandedWidth, activation, bias } = config;
  const [gate, value] = linearLayers(m.at('ffw_up'), x, halves(m.at('ffw_up'), config));
  const opened = activation === 'gelu' ? m.gelu(gate!) : m.silu(gate!);
  return linear(m, m.mul(opened, value!), dense(m, 'ffw_down', expandedWidth, width, { bias }));
}

/** Half 0 of ffw_up is the gate, half 1 the value (recurrentgemma/jax/modules.py, MLPBlock). */
function halves(m: Scope, { width, expandedWidth, bias }: MlpConfig): Dense[] {
  const kernels = m.tensor('w', [2, width, expandedWidth]);
  const biases = bias && reshapeTensor(m.tensor('b', [2, 1, 1, expandedWidth]), [2, expandedWidth]);
  return ['gate', 'value'].map((name, half) => ({
    at: m.at(name),
    kernel: takeFirst(kernels, half),
    ...(biases && { bias: takeFirst(biases, half) }),
  }));
}
