/** The published Mambas (state-spaces/mamba-*; Mamba paper, section 4.2, table 3). */

import { presetOf } from '../config.js';
import type { MambaConfig } from './config.js';
import { DEFAULT_EPSILON, type MambaSource } from './config-sources.js';

/** The shapes of the tokens of GPT-NeoX, 50277 padded to a multiple of 8. */
const VOCABULARY = 50_280;

/** `"auto"` of both implementations: the width by this. */
const RANK_DIVISOR = 16;

function preset(hiddenSize: number, numHiddenLayers: number): MambaConfig {
  return {
    vocabSize: VOCABULARY,
    hiddenSize,
    intermediateSize: 2 * hiddenSize,
    stateSize: 16,
    convKernel: 4,
    timeStepRank: Math.ceil(hiddenSize / RANK_DIVISOR),
    numHiddenLayers,
    layerNormEpsilon: DEFAULT_EPSILON,
  };
}

/** Presets by the name that `--preset` takes. */
export const MAMBA_PRESETS: Readonly<Record<string, MambaConfig>> = {
  'mamba-130m': preset(768, 24),
  'mamba-370m': preset(1024, 48),
  'mamba-790m': preset(1536, 48),
  'mamba-1.4b': preset(2048, 48),
  'mamba-2.8b': preset(2560, 64),
};

/** A preset as a source. @throws UsageError for a name that is not one. */
export function presetSource(name: string): MambaSource {
  return presetOf(MAMBA_PRESETS, name);
}
