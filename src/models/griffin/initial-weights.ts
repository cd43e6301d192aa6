/** How a Griffin's weights are distributed before training (recurrentgemma/jax, the `param` calls of layers.py and modules.py). */

import type { Shape } from '../../graph/dtype.js';
import { type Distribution, normal, uniform } from '../initial-weights.js';
import { C } from './rg-lru.js';

/** Of biases and of the norms' distances from 1; DeepMind starts them at 0, where no mistake in them would be seen. */
const SMALL = 0.02;

/**
 * The distribution of the weight at `path`. Every matrix, the convolution too, has variance 1 / fan-in: DeepMind's `variance_scaling`,
 * without its smaller factors for the last layer of each block, so that no block of an untrained model is next to nothing.
 */
export function initialGriffin(path: string, shape: Shape): Distribution {
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (name === 'input_embedding') return normal(shape[1]! ** -0.5);
  if (name === 'kernel' || name === 'w') return normal(shape.at(-2)! ** -0.5);
  return name === 'a_param' ? decay : normal(SMALL);
}

/** `a_param` such that `a^c` is uniform in [0.9, 0.999], where `a^c = exp(-c softplus(a_param))` (Griffin paper, section 2.4). */
const decay: Distribution = (i) => Math.log((0.9 + 0.099 * uniform(i)) ** (-1 / C) - 1);
