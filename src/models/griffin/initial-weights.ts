/** How a Griffin's weights are distributed before training (recurrentgemma/jax, the `param` calls of layers.py and modules.py). */

import type { Shape } from '../../graph/dtype.js';
import { type Distribution, initialWeight, uniform } from '../initial-weights.js';
import { C } from './rg-lru.js';

/** The distribution of the weight at `path`. */
export function initialGriffin(path: string, shape: Shape): Distribution {
  return path.endsWith('.a_param') ? decay : initialWeight(path, shape, { normFromOne: true });
}

/** `a_param` such that `a^c` is uniform in [0.9, 0.999], where `a^c = exp(-c softplus(a_param))` (Griffin paper, section 2.4). */
const decay: Distribution = (i) => Math.log((0.9 + 0.099 * uniform(i)) ** (-1 / C) - 1);
