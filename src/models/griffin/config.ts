/** The configuration of a Griffin: DeepMind's GriffinConfig (recurrentgemma/common.py), in camel case. */

import { InputError } from '../../errors.js';
import { MAX_LAYERS, requireSizes } from '../config.js';

/** What mixes tokens over time in one residual block. */
export type BlockType = 'recurrent' | 'attention';

/** Everything that shapes or changes what a Griffin computes. */
export interface GriffinConfig {
  readonly vocabSize: number;
  /** Width of the residual stream (`D` in the paper). */
  readonly width: number;
  /** Columns of one half of the MLP; Hugging Face's `intermediate_size` counts both. */
  readonly mlpExpandedWidth: number;
  /** Heads of attention, and blocks of the RG-LRU's gates. */
  readonly numHeads: number;
  /** Width of the RG-LRU (`D_RNN` in the paper). */
  readonly lruWidth: number;
  readonly blockTypes: readonly BlockType[];
  /** Whether embeddings are multiplied by `sqrt(width)`, rounded to bfloat16. */
  readonly embeddingsScaleBySqrtDim: boolean;
  /** Keys that a query sees before itself. */
  readonly attentionWindowSize: number;
  /** Logits stay within ± this; 0 leaves them alone. */
  readonly logitsSoftCap: number;
}

/** Taps of the convolution in front of the RG-LRU: each token sees itself and the three before it. */
export const CONV_WIDTH = 4;

/** Elements of one attention head. */
export function headDim({ width, numHeads }: GriffinConfig): number {
  return width / numHeads;
}

/**
 * Returns the config if a model can be built of it.
 * @throws InputError that names the field and the value that cannot be.
 */
export function validateGriffinConfig(config: GriffinConfig): GriffinConfig {
  const { width, numHeads, lruWidth, blockTypes } = config;
  const sizes = [
    'vocabSize',
    'width',
    'mlpExpandedWidth',
    'numHeads',
    'lruWidth',
    'attentionWindowSize',
  ] as const;
  requireSizes(config, sizes);
  if (blockTypes.length < 1 || blockTypes.length > MAX_LAYERS) {
    throw new InputError(`The config has ${blockTypes.length} blocks; 1 to ${MAX_LAYERS} can be built.`);
  }
  if (!(config.logitsSoftCap >= 0 && Number.isFinite(config.logitsSoftCap))) {
    throw new InputError(
      `The config's logits_soft_cap is ${config.logitsSoftCap}; it must be 0 (none) or more.`,
    );
  }
  if (blockTypes.includes('recurrent') && lruWidth % numHeads !== 0) {
    throw new InputError(`The config's num_heads ${numHeads} does not divide lru_width ${lruWidth}.`);
  }
  if (blockTypes.includes('attention') && width % (4 * numHeads) !== 0) {
    throw new InputError(
      `The config's width ${width} over num_heads ${numHeads} gives heads of ${width / numHeads}; half a head is rotated in pairs, so it must be a multiple of 4.`,
    );
  }
  return config;
}
