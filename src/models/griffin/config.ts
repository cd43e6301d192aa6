/** The configuration of a Griffin: DeepMind's GriffinConfig (recurrentgemma/common.py), in camel case. */

import { InputError } from '../../errors.js';

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
  for (const field of sizes) {
    if (!Number.isSafeInteger(config[field]) || config[field] < 1 || config[field] > MAX_SIZE) {
      throw new InputError(
        `The config's ${fieldName(field)} is ${config[field]}; it must be a whole number from 1 to ${MAX_SIZE}.`,
      );
    }
  }
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

/** Far above any model, and low enough that products of two sizes stay exact. */
const MAX_SIZE = 2 ** 24;
/** Layers that can be built: far above any model. */
export const MAX_LAYERS = 4096;

/** A field by the name that DeepMind's code and `--model-config` files use: `lruWidth` is `lru_width`. */
export function fieldName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A config, or what is known of one, in the form that `--model-config` reads. */
export function publishedConfig(config: Partial<GriffinConfig>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([field, value]) => [fieldName(field), value]));
}
