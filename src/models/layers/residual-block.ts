/** The residual block that Griffin and the transformers have in common (Griffin paper, section 2.1, figure 2a). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { gatedMlp, type MlpConfig } from './gated-mlp.js';
import { type NormConfig, rmsNorm } from './rms-norm.js';

/** What all blocks of a model have in common. */
export interface ResidualConfig {
  readonly norm: NormConfig;
  readonly mlp: MlpConfig;
}

/** Temporal mixing, then the gated MLP, each normed before and added to the residual stream `x` `[tokens, width]`. */
export function residualBlock(
  m: Scope,
  { norm, mlp }: ResidualConfig,
  x: Value,
  mix: (m: Scope, normed: Value) => Value,
): Value {
  const mixed = m.add(mix(m, rmsNorm(m, 'temporal_pre_norm', x, norm)), x);
  const normed = rmsNorm(m, 'channel_pre_norm', mixed, norm);
  return m.add(gatedMlp(m.at('mlp_block'), normed, mlp), mixed);
}
