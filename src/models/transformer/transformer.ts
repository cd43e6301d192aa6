/** Gemma, Mistral, Llama and the Griffin paper's MQA transformer: Griffin's residual blocks, every one of them with attention (transformers/models/gemma/modeling_gemma.py and its like). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import type { BuildOptions } from '../family.js';
import { attention, attentionContext } from '../layers/attention.js';
import { embed, tokenTable } from '../layers/embedding.js';
import { outputHead } from '../layers/head.js';
import { KEY_VALUE_FORMS, type KeyValuePrecision } from '../layers/key-values.js';
import { declareState } from '../layers/model-state.js';
import { residualBlock } from '../layers/residual-block.js';
import { rmsNorm } from '../layers/rms-norm.js';
import { sequenceInputs } from '../layers/sequence.js';
import type { StateTensor } from '../state-tensor.js';
import { KINDS, type TransformerConfig } from './config.js';

/** Builds the whole model into the scope's graph: token inputs, state in and out, and the head's outputs. */
export function buildTransformer(
  m: Scope,
  config: TransformerConfig,
  { logits, keyValues }: BuildOptions,
): void {
  const { hiddenSize: width, headDim, vocabSize } = config;
  const { activation, normFromOne, scalesEmbeddings, biases, rotatedPart } = KINDS[config.modelType];
  const sequence = sequenceInputs(m);
  const state = declareState(m.graph, transformerState(config, keyValues));
  const context = attentionContext(m.at('window'), sequence, {
    rope: {
      rotated: rotatedPart * headDim,
      base: config.ropeTheta,
      scaling: config.ropeScaling === 'none' ? undefined : config.ropeScaling,
    },
    window: earlierKeys(config),
    keyValues,
  });

  const table = tokenTable(m, 'embedder', 'input_embedding', [vocabSize, width]);
  let x = embed(m.at('embedder'), table, sequence.ids, scalesEmbeddings ? Math.sqrt(width) : 1);

  const heads = {
    width,
    numHeads: config.numAttentionHeads,
    kvHeads: config.numKeyValueHeads,
    headDim,
    outputBias: biases,
  };
  const norm = { epsilon: config.rmsNormEps, fromOne: normFromOne };
  const mlp = { width, expandedWidth: config.intermediateSize, activation, bias: biases };
  for (let layer = 0; layer < config.numHiddenLayers; layer++) {
    x = residualBlock(m.at(`blocks.${layer}`), { norm, mlp }, x, (block, normed) =>
      attention(block.at('attention_block'), heads, normed, sequence, context, state(layer)),
    );
  }
  const head = config.tieWordEmbeddings
    ? table
    : tokenTable(m, 'lm_head', 'output_embedding', [vocabSize, width]);
  outputHead(m.at('head'), x, sequence, {
    table: head,
    softCap: 0,
    form: logits,
    norm: (rows: Value) => rmsNorm(m, 'final_norm', rows, norm),
  });
}

/** Keys that a query sees before itself; undefined for all. Hugging Face's window counts the query's own key. */
function earlierKeys({ slidingWindow }: TransformerConfig): number | undefined {
  return slidingWindow === 0 ? undefined : slidingWindow - 1;
}

/** The state that one sequence carries: a ring for a window, else a cache that grows with it. */
export function transformerState(config: TransformerConfig, keyValues: KeyValuePrecision): StateTensor[] {
  const { numHiddenLayers, numKeyValueHeads: kvHeads, headDim, maxPositionEmbeddings } = config;
  const window = earlierKeys(config);
  const store = {
    kind: window === undefined ? 'cache' : 'ring',
    slots: window ?? maxPositionEmbeddings,
    kvHeads,
    headDim,
  } as const;
  return Array.from({ length: numHiddenLayers }, (_, layer) =>
    KEY_VALUE_FORMS[keyValues].tensors(layer, store),
  ).flat();
}
