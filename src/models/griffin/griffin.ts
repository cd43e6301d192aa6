/** Griffin, Hawk and RecurrentGemma: one definition for every pattern of blocks (Griffin paper, section 2; recurrentgemma/jax/griffin.py). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import type { BuildOptions } from '../family.js';
import { attention, attentionContext } from '../layers/attention.js';
import { convState } from '../layers/conv1d.js';
import { embed, roundToBfloat16, tokenTable } from '../layers/embedding.js';
import { outputHead } from '../layers/head.js';
import { KEY_VALUE_FORMS, type KeyValuePrecision } from '../layers/key-values.js';
import { declareState } from '../layers/model-state.js';
import { residualBlock } from '../layers/residual-block.js';
import { rmsNorm } from '../layers/rms-norm.js';
import { sequenceInputs } from '../layers/sequence.js';
import { type StateTensor, stateNames } from '../state-tensor.js';
import { CONV_WIDTH, type GriffinConfig, headDim } from './config.js';
import { recurrentBlock } from './recurrent-block.js';
import { recurrenceSteps } from './rg-lru.js';

const NORM = { epsilon: 1e-6, fromOne: true };

/** Builds the whole model into the scope's graph: token inputs, state in and out, and the head's outputs. */
export function buildGriffin(m: Scope, config: GriffinConfig, { logits, keyValues }: BuildOptions): void {
  const { width, vocabSize, blockTypes } = config;
  const sequence = sequenceInputs(m);
  const state = declareState(m.graph, griffinState(config, keyValues));
  const steps = blockTypes.includes('recurrent') ? recurrenceSteps(m.at('steps'), sequence) : undefined;
  const context = blockTypes.includes('attention')
    ? attentionContext(m.at('window'), sequence, {
        // Griffin rotates the first half of each head only.
        rope: { rotated: headDim(config) / 2, base: 10_000 },
        window: config.attentionWindowSize,
        keyValues,
      })
    : undefined;

  const heads = { width, numHeads: config.numHeads, kvHeads: 1, headDim: headDim(config), outputBias: true };
  const table = tokenTable(m, 'embedder', 'input_embedding', [vocabSize, width]);
  const scale = config.embeddingsScaleBySqrtDim ? roundToBfloat16(Math.sqrt(width)) : 1;
  let x = embed(m.at('embedder'), table, sequence.ids, scale);

  const mlp = { width, expandedWidth: config.mlpExpandedWidth, activation: 'gelu', bias: true } as const;
  const blocks = { norm: NORM, mlp };
  for (const [layer, type] of blockTypes.entries()) {
    x = residualBlock(m.at(`blocks.${layer}`), blocks, x, (block, normed) =>
      type === 'recurrent'
        ? recurrentBlock(block.at('recurrent_block'), config, normed, sequence, steps!, state(layer))
        : attention(block.at('attention_block'), heads, normed, sequence, context!, state(layer)),
    );
  }
  const norm = (rows: Value) => rmsNorm(m, 'final_norm', rows, NORM);
  outputHead(m.at('head'), x, sequence, { table, softCap: config.logitsSoftCap, form: logits, norm });
}

/** The state that one sequence carries. */
export function griffinState(config: GriffinConfig, keyValues: KeyValuePrecision): StateTensor[] {
  const { lruWidth, attentionWindowSize } = config;
  return config.blockTypes.flatMap((type, layer): StateTensor[] => {
    if (type === 'recurrent') {
      const filter = { width: lruWidth, taps: CONV_WIDTH };
      return [
        {
          ...stateNames(layer, 'recurrent_state'),
          kind: 'carried',
          dtype: 'float32',
          shape: [lruWidth],
          axes: ['lru_width'],
        },
        convState(layer, filter, 'lru_width'),
      ];
    }
    const store = { kind: 'ring', slots: attentionWindowSize, kvHeads: 1, headDim: headDim(config) } as const;
    return KEY_VALUE_FORMS[keyValues].tensors(layer, store);
  });
}
