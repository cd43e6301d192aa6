/** Mamba-1 (Gu and Dao 2023; transformers/models/mamba/modeling_mamba.py): one kind of block, a gated convolution and recurrence, and no MLP. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import type { BuildOptions } from '../family.js';
import { conv1d, convState } from '../layers/conv1d.js';
import { embed, tokenTable } from '../layers/embedding.js';
import { outputHead } from '../layers/head.js';
import { dense, linear } from '../layers/linear.js';
import { declareState, type LayerState } from '../layers/model-state.js';
import { rmsNorm } from '../layers/rms-norm.js';
import { gatherTokens, type Sequence, sequenceInputs, spread } from '../layers/sequence.js';
import { type StateTensor, stateNames } from '../state-tensor.js';
import type { MambaConfig } from './config.js';
import { selectiveScan } from './selective-scan.js';

/** Builds the whole model into the scope's graph: token inputs, state in and out, and the head's outputs. */
export function buildMamba(m: Scope, config: MambaConfig, { logits }: Pick<BuildOptions, 'logits'>): void {
  const { vocabSize, hiddenSize: width } = config;
  const sequence = sequenceInputs(m);
  const state = declareState(m.graph, mambaState(config));
  const steps = m.unsqueeze(m.cast(sequence.valid, 'float32'), 2);
  const norm = { epsilon: config.layerNormEpsilon, fromOne: false };

  const table = tokenTable(m, 'embedder', 'input_embedding', [vocabSize, width]);
  let x = embed(m.at('embedder'), table, sequence.ids, 1);
  for (let layer = 0; layer < config.numHiddenLayers; layer++) {
    const block = m.at(`blocks.${layer}`);
    const normed = rmsNorm(block, 'pre_norm', x, norm);
    x = block.add(mixer(block.at('mixer'), config, normed, { sequence, steps }, state(layer)), x);
  }
  outputHead(m.at('head'), x, sequence, {
    table,
    softCap: 0,
    form: logits,
    norm: (rows: Value) => rmsNorm(m, 'final_norm', rows, norm),
  });
}

/** What all blocks of one call share; `steps` is 1 at tokens and 0 at padding, float32 `[batch, time, 1]`. */
interface MixerContext {
  readonly sequence: Sequence;
  readonly steps: Value;
}

/** `out_proj(selective_scan(silu(conv_1d(x))) * silu(z))` of both halves of `in_proj`: `[tokens, width]` to the same. */
function mixer(
  m: Scope,
  config: MambaConfig,
  normed: Value,
  { sequence, steps }: MixerContext,
  state: LayerState,
): Value {
  const { hiddenSize: width, intermediateSize: channels, stateSize, timeStepRank: rank } = config;
  const projected = linear(m, normed, dense(m, 'in_proj', width, 2 * channels, { bias: false }));
  const [x, z] = m.splitEvenly(projected, 2);

  const filter = { width: channels, taps: config.convKernel };
  const convolved = conv1d(m.at('conv_1d'), filter, spread(m, x!, sequence), sequence, state);
  const inner = m.silu(gatherTokens(m, convolved, sequence));

  const selected = linear(m, inner, dense(m, 'x_proj', channels, rank + 2 * stateSize, { bias: false }));
  const [squeezed, b, c] = m.split(selected, [rank, stateSize, stateSize]);
  const delta = m.softplus(linear(m, squeezed!, dense(m, 'dt_proj', rank, channels)));
  const y = selectiveScan(
    m,
    { channels, stateSize },
    spread(m, inner, sequence),
    {
      delta: m.mul(spread(m, delta, sequence), steps),
      input: spread(m, b!, sequence),
      output: spread(m, c!, sequence),
    },
    state,
  );
  const gated = m.mul(gatherTokens(m, y, sequence), m.silu(z!));
  return linear(m, gated, dense(m, 'out_proj', channels, width, { bias: false }));
}

/** The state that one sequence carries. */
export function mambaState(config: MambaConfig): StateTensor[] {
  const { intermediateSize: channels, stateSize, convKernel } = config;
  return Array.from({ length: config.numHiddenLayers }, (_, layer): StateTensor[] => [
    {
      ...stateNames(layer, 'ssm_state'),
      kind: 'carried',
      dtype: 'float32',
      shape: [stateSize, channels],
      axes: ['state', 'channels'],
    },
    convState(layer, { width: channels, taps: convKernel }, 'channels'),
  ]).flat();
}
