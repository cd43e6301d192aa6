/** Tensor names of a Mamba, as Hugging Face (modeling_mamba.py) and state-spaces (mamba_ssm/models/mixer_seq_simple.py) have them, into the model's. */

import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { denseRules, type NamedTensors, type Renaming, rename, withoutTiedHead } from '../renaming.js';
import type { SourceLayout } from '../source-layout.js';

/** Where the one matrix of embedding and head is in the model. */
const EMBEDDING = 'embedder.input_embedding';

/** The layout that a set of tensor names has, if it is a Mamba's; the two differ in one name, and are told as one. */
export function detectLayout(names: Iterable<string>): SourceLayout | undefined {
  for (const name of names) if (/^backbone\.layers\.\d+\.mixer\.A_log$/.test(name)) return 'hf';
  return undefined;
}

/** Renames and reshapes tensors. */
export function toModelNames(tensors: ReadonlyMap<string, LazyTensor>): NamedTensors {
  const untied = withoutTiedHead(tensors, 'lm_head.weight', EMBEDDING);
  const embedding = tensors.has(STATE_SPACES_EMBEDDING) ? STATE_SPACES_EMBEDDING : HF_EMBEDDING;
  return { ...rename(untied.tensors, renaming(embedding)), tied: untied.tied };
}

const HF_EMBEDDING = 'backbone.embeddings.weight';
const STATE_SPACES_EMBEDDING = 'backbone.embedding.weight';

function renaming(embedding: string): Renaming {
  return {
    rules: [
      { path: EMBEDDING, from: [embedding], transform: 'same' },
      { path: 'final_norm.scale', from: ['backbone.norm_f.weight'], transform: 'same' },
    ],
    layerRules: [
      { path: 'pre_norm.scale', from: ['norm.weight'], transform: 'same' },
      ...denseRules('mixer.in_proj', 'mixer.in_proj', { bias: false }),
      { path: 'mixer.conv_1d.w', from: ['mixer.conv1d.weight'], transform: 'conv' },
      { path: 'mixer.conv_1d.b', from: ['mixer.conv1d.bias'], transform: 'same' },
      ...denseRules('mixer.x_proj', 'mixer.x_proj', { bias: false }),
      ...denseRules('mixer.dt_proj', 'mixer.dt_proj'),
      { path: 'mixer.A_log', from: ['mixer.A_log'], transform: 'transpose' },
      { path: 'mixer.D', from: ['mixer.D'], transform: 'same' },
      ...denseRules('mixer.out_proj', 'mixer.out_proj', { bias: false }),
    ],
    layerPrefix: 'backbone.layers.',
  };
}
