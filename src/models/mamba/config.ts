/** The configuration of a Mamba, in the field names of Hugging Face's config.json in camel case. */

import { InputError } from '../../errors.js';
import { MAX_LAYERS, requireSizes } from '../config.js';

/** Everything that shapes or changes what a Mamba computes. */
export interface MambaConfig {
  readonly vocabSize: number;
  /** Width of the residual stream (`D` in the paper). */
  readonly hiddenSize: number;
  /** Channels of the recurrence (`E D` in the paper). */
  readonly intermediateSize: number;
  /** Elements of each channel's state (`N` in the paper). */
  readonly stateSize: number;
  /** Taps of the convolution. */
  readonly convKernel: number;
  /** Columns through which the step sizes are squeezed (`R` in the paper). */
  readonly timeStepRank: number;
  readonly numHiddenLayers: number;
  readonly layerNormEpsilon: number;
}

/** The fields, in the order in which they are printed. */
export const FIELDS = [
  'vocabSize',
  'hiddenSize',
  'intermediateSize',
  'stateSize',
  'convKernel',
  'timeStepRank',
  'numHiddenLayers',
  'layerNormEpsilon',
] as const satisfies readonly (keyof MambaConfig)[];

/**
 * Returns the config if a model can be built of it.
 * @throws InputError that names the field and the value that cannot be.
 */
export function validateMambaConfig(config: MambaConfig): MambaConfig {
  requireSizes(config, ['vocabSize', 'hiddenSize', 'intermediateSize', 'stateSize', 'timeStepRank']);
  requireSizes(config, ['convKernel'], 64);
  requireSizes(config, ['numHiddenLayers'], MAX_LAYERS);
  const { layerNormEpsilon: epsilon, convKernel } = config;
  if (convKernel < 2)
    throw new InputError(`The config's conv_kernel is ${convKernel}; it must be 2 or more.`);
  if (!(Number.isFinite(epsilon) && epsilon > 0)) {
    throw new InputError(`The config's layer_norm_epsilon is ${epsilon}; it must be more than 0.`);
  }
  return config;
}
