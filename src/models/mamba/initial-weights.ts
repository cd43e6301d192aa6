/** How a Mamba's weights are distributed before training (mamba_ssm/modules/mamba_simple.py; Mamba paper, section 3.6). */

import type { Shape } from '../../graph/dtype.js';
import { type Distribution, initialWeight, uniform } from '../initial-weights.js';

/** States of a channel, whose decays are 1 to this many. */
const STATES = 16;

/** The distribution of the weight at `path`. */
export function initialMamba(path: string, shape: Shape): Distribution {
  if (path.endsWith('.A_log')) return (i) => Math.log(1 + Math.floor(STATES * uniform(i)));
  if (path.endsWith('.D')) return () => 1;
  if (path.endsWith('.dt_proj.bias')) return stepBias;
  return initialWeight(path, shape, { normFromOne: false });
}

/** Such that `softplus` of it is between 0.001 and 0.1, its logarithm spread evenly. */
const stepBias: Distribution = (i) => {
  const step = 0.001 * 100 ** uniform(i);
  return step + Math.log(-Math.expm1(-step));
};
