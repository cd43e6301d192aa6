/** The published Griffins (recurrentgemma/common.py, Preset), and a small one to try things on. */

import type { BlockType, GriffinConfig } from './config.js';

/** A configuration; the vocabulary is the checkpoint's own. */
export type GriffinPreset = Omit<GriffinConfig, 'vocabSize'>;

/** Tokens of a preset that comes without a checkpoint (recurrentgemma/common.py, `from_preset`). */
export const PRESET_VOCABULARY = 256_000;

const GRIFFIN_PATTERN: readonly BlockType[] = ['recurrent', 'recurrent', 'attention'];

/** A pattern repeated to `count` blocks. */
export function cycleBlocks(pattern: readonly BlockType[], count: number): BlockType[] {
  return Array.from({ length: count }, (_, i) => pattern[i % pattern.length]!);
}

const RECURRENT_GEMMA = { embeddingsScaleBySqrtDim: true, attentionWindowSize: 2048, logitsSoftCap: 30 };
const PAPER_7B = {
  width: 4096,
  mlpExpandedWidth: 3 * 4096,
  numHeads: 32,
  lruWidth: 5632,
  embeddingsScaleBySqrtDim: false,
  attentionWindowSize: 1024,
  logitsSoftCap: 0,
};

/** Presets by the name that `--preset` takes. */
export const GRIFFIN_PRESETS: Readonly<Record<string, GriffinPreset>> = {
  'recurrentgemma-2b': {
    width: 2560,
    mlpExpandedWidth: 3 * 2560,
    numHeads: 10,
    lruWidth: 2560,
    blockTypes: cycleBlocks(GRIFFIN_PATTERN, 26),
    ...RECURRENT_GEMMA,
  },
  'recurrentgemma-9b': {
    width: 4096,
    mlpExpandedWidth: 3 * 4096,
    numHeads: 16,
    lruWidth: 4096,
    blockTypes: cycleBlocks(GRIFFIN_PATTERN, 38),
    ...RECURRENT_GEMMA,
  },
  'griffin-paper-7b': { blockTypes: cycleBlocks(GRIFFIN_PATTERN, 32), ...PAPER_7B },
  'hawk-paper-7b': { blockTypes: cycleBlocks(['recurrent'], 32), ...PAPER_7B },
  'griffin-tiny': {
    width: 128,
    mlpExpandedWidth: 3 * 128,
    numHeads: 2,
    lruWidth: 256,
    blockTypes: cycleBlocks(GRIFFIN_PATTERN, 3),
    embeddingsScaleBySqrtDim: true,
    attentionWindowSize: 128,
    logitsSoftCap: 30,
  },
};
