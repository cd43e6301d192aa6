/** Dense layers; those that share an input are merged into one matrix product. */

import type { Value } from '../../graph/graph.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import type { Scope } from '../../graph/scope.js';
import { mergeColumns } from '../../graph/transform.js';

/** The weights of one dense layer. */
export interface Dense {
  /** `[input, output]`. */
  readonly kernel: LazyTensor;
  /** `[output]`. */
  readonly bias?: LazyTensor;
}

/** The dense layer at `m.at(name)`: `kernel` `[input, output]` and, unless told otherwise, `bias` `[output]`. */
export function dense(
  m: Scope,
  name: string,
  input: number,
  output: number,
  options = { bias: true },
): Dense {
  const kernel = m.at(name).tensor('kernel', [input, output]);
  return options.bias ? { kernel, bias: m.at(name).tensor('bias', [output]) } : { kernel };
}

/** `x kernel + bias`: `[…, input]` to `[…, output]`. The weights are named after `m`. */
export function linear(m: Scope, x: Value, { kernel, bias }: Dense): Value {
  const product = m.matmul(x, m.initializer('kernel', kernel));
  return bias ? m.add(product, m.initializer('bias', bias)) : product;
}

/** Several dense layers of one input as one product, each one's output apart: one pass over `x`, and fewer operators. */
export function mergedLinear(m: Scope, x: Value, layers: readonly Dense[]): Value[] {
  const biases = layers.flatMap(({ bias }) => bias ?? []);
  const kernel = mergeColumns(layers.map((layer) => layer.kernel));
  const merged = linear(
    m,
    x,
    biases.length === layers.length ? { kernel, bias: mergeColumns(biases) } : { kernel },
  );
  return m.split(
    merged,
    layers.map((layer) => layer.kernel.shape[1]!),
  );
}
