/** Root-mean-square norms, in the two ways in which their scale is stored. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';

/** One model's norms. */
export interface NormConfig {
  readonly epsilon: number;
  /** Whether what is stored is the scale's distance from 1, as DeepMind stores it (recurrentgemma/jax/layers.py, RMSNorm), and not the scale. */
  readonly fromOne: boolean;
}

/** `x * rsqrt(mean(x^2) + epsilon) * scale` over the last axis of `x` `[…, width]`; the scale is at `m.at(name)`. */
export function rmsNorm(m: Scope, name: string, x: Value, { epsilon, fromOne }: NormConfig): Value {
  const inner = m.at(name);
  const stored = inner.weight('scale', [x.axes.at(-1) as number]);
  return inner.rmsNorm(x, fromOne ? inner.add(stored, 1) : stored, epsilon);
}
