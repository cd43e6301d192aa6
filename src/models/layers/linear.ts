/** Dense layers, in whatever form the model's matrices have. */

import type { Value } from '../../graph/graph.js';
import type { Dense } from '../../graph/matrix-form.js';
import type { Scope } from '../../graph/scope.js';

/** The dense layer at `m.at(name)`: `kernel` `[input, output]` and, unless told otherwise, `bias` `[output]`. */
export function dense(
  m: Scope,
  name: string,
  input: number,
  output: number,
  options = { bias: true },
): Dense {
  const at = m.at(name);
  const kernel = at.tensor('kernel', [input, output]);
  return options.bias ? { at, kernel, bias: at.tensor('bias', [output]) } : { at, kernel };
}

/** `x kernel + bias`: `[tokens, input]` to `[tokens, output]`. */
export function linear(m: Scope, x: Value, layer: Dense): Value {
  return m.matrices.linear(m, x, [layer])[0]!;
}

/** Several dense layers of one input, each one's output apart; `m` is the place of what they share. */
export function linearLayers(m: Scope, x: Value, layers: readonly Dense[]): Value[] {
  return m.matrices.linear(m, x, layers);
}
