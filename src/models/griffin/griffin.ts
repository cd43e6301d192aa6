/** Griffin, Hawk and RecurrentGemma: one definition for every pattern of blocks (Griffin paper, section 2; recurrentgemma/jax/griffin.py). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import type { BuildOptions } from '../family.js';
import { attention, attentionContext } from '../layers/attention.js';
import { embed, roundToBfloat16 } from '../layers/embedding.js';
import { gatedMlp } from '../layers/gated-mlp.js';
import { outputHead } from '../layers/head.js';
import { KEY_VALUE_FORMS, type KeyValuePrecision } from '../layers/key-values.js';
import { declareState } from '../layers/model-state.js';
import { sequenceInputs } from '../layers/sequence.js';
import { type StateTensor, stateNames } from '../state-tensor.js';
import { type GriffinConfig, headDim } from './config.js';
import { CONV_WIDTH } from './conv1d.js';
import { recurrentBlock } from './recurrent-block.js';
import { recurrenceSteps } from './rg-lru.js';

const NORM_EPSILON = 1e-6;

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
  const embedder = m.at('embedder');
  const embedding = embedder.tensor('input_embedding', [vocabSize, width]);
  const table = m.matrices.table(embedder, 'input_embedding', embedding);
  const scale = config.embeddingsScaleBySqrtDim ? roundToBfloat16(Math.sqrt(width)) : 1;
  let x = embed(embedder, table, sequence.ids, scale);

  for (const [layer, type] of blockTypes.entries()) {
    x = residualBlock(m.at(`blocks.${layer}`), config, x, (block, normed) =>
      type === 'recurrent'
        ? recurrentBlock(block.at('recurrent_block'), config, normed, sequence, steps!, state(layer))
        : attention(block.at('attention_block'), heads, normed, sequence, context!, state(layer)),
    );
  }
  const norm = (rows: Value) => rmsNorm(m, 'final_norm', rows, width);
  outputHead(m.at('head'), x, sequence, { table, softCap: config.logitsSoftCap, form: logits, norm });
}

/** Temporal mixing, then the gated MLP, each normed before and added to the residual stream (figure 2a). */
function residualBlock(
  m: Scope,
  { width, mlpExpandedWidth }: GriffinConfig,
  x: Value,
  mix: (m: Scope, normed: Value) => Value,
): Value {
  const mixed = m.add(mix(m, rmsNorm(m, 'temporal_pre_norm', x, width)), x);
  const normed = rmsNorm(m, 'channel_pre_norm', mixed, width);
  return m.add(gatedMlp(m.at('mlp_block'), normed, width, mlpExpandedWidth), mixed);
}

/** RMSNorm whose stored scale is its distance from 1 (recurrentgemma/jax/layers.py, RMSNorm). */
function rmsNorm(m: Scope, name: string, x: Value, width: number): Value {
  const inner = m.at(name);
  return inner.rmsNorm(x, inner.add(inner.weight('scale', [width]), 1), NORM_EPSILON);
}

/** The state that one sequence carries. */
export function griffinState(config: GriffinConfig, keyValues: KeyValuePrecision): StateTensor[] {
  const { lruWidth, attentionWindowSize } = config;
  return config.blockTypes.flatMap((type, layer): StateTensor[] => {
    if (type === 'recurrent') {
      const carried = { kind: 'carried', dtype: 'float32' } as const;
      return [
        { ...stateNames(layer, 'recurrent_state'), ...carried, shape: [lruWidth], axes: ['lru_width'] },
        {
          ...stateNames(layer, 'conv_state'),
          ...carried,
          shape: [CONV_WIDTH - 1, lruWidth],
          axes: ['taps', 'lru_width'],
        },
      ];
    }
    const store = { kind: 'ring', slots: attentionWindowSize, kvHeads: 1, headDim: headDim(config) } as const;
    return KEY_VALUE_FORMS[keyValues].tensors(layer, store);
  });
}
