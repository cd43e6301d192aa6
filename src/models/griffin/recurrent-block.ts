/** Griffin's recurrent block: two branches, one through the convolution and the RG-LRU (Griffin paper, section 2.3, figure 2c). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { conv1d } from '../layers/conv1d.js';
import { dense, linear, linearLayers } from '../layers/linear.js';
import type { LayerState } from '../layers/model-state.js';
import { gatherTokens, type Sequence, spread } from '../layers/sequence.js';
import { CONV_WIDTH, type GriffinConfig } from './config.js';
import { type RecurrenceSteps, rgLru } from './rg-lru.js';

/** `linear_out(rg_lru(conv_1d(linear_x(x))) * gelu(linear_y(x)))`: `[tokens, width]` to the same. */
export function recurrentBlock(
  m: Scope,
  config: GriffinConfig,
  x: Value,
  sequence: Sequence,
  steps: RecurrenceSteps,
  state: LayerState,
): Value {
  const { width, lruWidth } = config;
  const branches = ['linear_x', 'linear_y'].map((name) => dense(m, name, width, lruWidth));
  const [recurrent, gate] = linearLayers(m.at('linear_xy'), x, branches);

  const filter = { width: lruWidth, taps: CONV_WIDTH };
  const convolved = conv1d(m.at('conv_1d'), filter, spread(m, recurrent!, sequence), sequence, state);
  const y = gatherTokens(m, rgLru(m.at('rg_lru'), config, convolved, steps, state), sequence);
  return linear(m.at('linear_out'), m.mul(y, m.gelu(gate!)), dense(m, 'linear_out', lruWidth, width));
}
