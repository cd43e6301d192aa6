/** Tensor names of each source layout, into the names that the residual blocks of all families have. */

import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { reshapeTensor, swapAxes, takeFirst, takeRows } from '../../graph/transform.js';
import {
  denseRules,
  type NamedTensors,
  type Renaming,
  type Rule,
  rename,
  type Transform,
  withoutTiedHead,
} from '../renaming.js';
import type { SourceLayout } from '../source-layout.js';
import type { TransformerConfig } from './config.js';

/** Where the embedding and, where it is another matrix, the head's are in the model. */
export const EMBEDDING = 'embedder.input_embedding';
const HEAD = 'lm_head.output_embedding';

/** The layout that a set of tensor names has, if it is a transformer's. */
export function detectLayout(names: Iterable<string>): SourceLayout | undefined {
  for (const name of names) {
    if (/^model\.layers\.\d+\.self_attn\.q_proj\./.test(name)) return 'hf';
    if (/^model\.layers\.\d+\.self_attn\.qkv_proj\./.test(name)) return 'torch';
    if (/^layer_\d+\.attn\.(q|qkv)_einsum$/.test(plainFlaxName(name))) return 'flax';
  }
  return undefined;
}

/** Renames and reshapes tensors of a layout; the config says where heads begin. */
export function toBlockNames(
  layout: SourceLayout,
  tensors: ReadonlyMap<string, LazyTensor>,
  config: TransformerConfig,
): NamedTensors {
  if (layout === 'torch') return { ...rename(tensors, torchRenaming(config)), tied: [] };
  if (layout === 'flax') return { ...rename(tensors, FLAX), tied: [] };
  const untied = config.tieWordEmbeddings
    ? withoutTiedHead(tensors, 'lm_head.weight', EMBEDDING)
    : { tensors, tied: [] };
  return { ...rename(untied.tensors, HUGGING_FACE), tied: untied.tied };
}

const NORMS: readonly Rule[] = [
  { path: 'temporal_pre_norm.scale', from: ['input_layernorm.weight'], transform: 'same' },
  { path: 'channel_pre_norm.scale', from: ['post_attention_layernorm.weight'], transform: 'same' },
];

const MLP: readonly Rule[] = [
  {
    path: 'mlp_block.ffw_up.w',
    from: ['mlp.gate_proj.weight', 'mlp.up_proj.weight'],
    transform: 'stackTransposed',
  },
  ...denseRules('mlp_block.ffw_down', 'mlp.down_proj', { bias: false }),
];

const OUTPUT = denseRules('attention_block.proj_final', 'self_attn.o_proj', { bias: false });

/** Hugging Face transformers' names (modeling_gemma.py, modeling_mistral.py, modeling_llama.py). */
const HUGGING_FACE: Renaming = {
  rules: [
    { path: EMBEDDING, from: ['model.embed_tokens.weight'], transform: 'same' },
    { path: 'final_norm.scale', from: ['model.norm.weight'], transform: 'same' },
    { path: HEAD, from: ['lm_head.weight'], transform: 'same' },
  ],
  layerRules: [
    ...NORMS,
    ...['q', 'k', 'v'].flatMap((name) =>
      denseRules(`attention_block.proj_${name}`, `self_attn.${name}_proj`, { bias: false }),
    ),
    ...OUTPUT,
    ...MLP,
  ],
  layerPrefix: 'model.layers.',
  ignored: /\.rotary_emb\.inv_freq$/,
};

/** The names of Google's gemma_pytorch (gemma/model.py): queries, keys and values in one matrix, one below the other. */
function torchRenaming({ numAttentionHeads, numKeyValueHeads, headDim }: TransformerConfig): Renaming {
  const [queries, keys] = [numAttentionHeads * headDim, numKeyValueHeads * headDim];
  const part = (first: number, count: number): Transform => {
    return ([all]) => {
      const fits = all!.shape.length === 2 && all!.shape[0] === queries + 2 * keys;
      return fits ? swapAxes(takeRows(all!, first, count)) : all!;
    };
  };
  const parts = { q: part(0, queries), k: part(queries, keys), v: part(queries + keys, keys) };
  return {
    rules: [
      { path: EMBEDDING, from: ['embedder.weight'], transform: 'same' },
      { path: 'final_norm.scale', from: ['model.norm.weight'], transform: 'same' },
    ],
    layerRules: [
      ...NORMS,
      ...Object.entries(parts).map(
        ([name, transform]): Rule => ({
          path: `attention_block.proj_${name}.kernel`,
          from: ['self_attn.qkv_proj.weight'],
          transform,
        }),
      ),
      ...OUTPUT,
      ...MLP,
    ],
    layerPrefix: 'model.layers.',
    ignored: /(^|\.)freqs_cis$/,
  };
}

/**
 * A Flax name without what differs between the ways in which Gemma's tree is saved: `transformer/layer_0/attn/q_einsum.w` in the released files, with dots
 * where the tree is nested, and without `.w` where it was taken off (gemma/params.py).
 */
export function plainFlaxName(name: string): string {
  return name
    .replaceAll('/', '.')
    .replace(/^params\./, '')
    .replace(/^transformer\./, '')
    .replace(/(_einsum|linear)\.w$/, '$1');
}

/** `[heads, width, head_dim]` to `[width, heads * head_dim]`. */
const fromHeads: Transform = ([tensor]) => {
  const [heads = 1, width = 1, size = 1] = tensor!.shape;
  return tensor!.shape.length === 3 ? reshapeTensor(swapAxes(tensor!), [width, heads * size]) : tensor!;
};

/** The same of one of `count` that are stacked. */
function fromStacked(index: number, count: number): Transform {
  return ([tensor]) => {
    const fits = tensor!.shape.length === 4 && tensor!.shape[0] === count;
    return fits ? fromHeads([takeFirst(tensor!, index)]) : tensor!;
  };
}

/** `[heads, head_dim, width]` to `[heads * head_dim, width]`. */
const toWidth: Transform = ([tensor]) => {
  const [heads = 1, size = 1, width = 1] = tensor!.shape;
  return tensor!.shape.length === 3 ? reshapeTensor(tensor!, [heads * size, width]) : tensor!;
};

/** The names of DeepMind's Gemma (gemma/layers.py, gemma/modules.py): multi-head attention keeps its projections in one array, others in two. */
const FLAX: Renaming = {
  rules: [
    { path: EMBEDDING, from: ['embedder.input_embedding'], transform: 'same' },
    { path: 'final_norm.scale', from: ['final_norm.scale'], transform: 'same' },
  ],
  layerRules: [
    { path: 'temporal_pre_norm.scale', from: ['pre_attention_norm.scale'], transform: 'same' },
    { path: 'channel_pre_norm.scale', from: ['pre_ffw_norm.scale'], transform: 'same' },
    { path: 'attention_block.proj_q.kernel', from: ['attn.q_einsum'], transform: fromHeads },
    { path: 'attention_block.proj_k.kernel', from: ['attn.kv_einsum'], transform: fromStacked(0, 2) },
    { path: 'attention_block.proj_v.kernel', from: ['attn.kv_einsum'], transform: fromStacked(1, 2) },
    ...['q', 'k', 'v'].map(
      (name, i): Rule => ({
        path: `attention_block.proj_${name}.kernel`,
        from: ['attn.qkv_einsum'],
        transform: fromStacked(i, 3),
      }),
    ),
    { path: 'attention_block.proj_final.kernel', from: ['attn.attn_vec_einsum'], transform: toWidth },
    { path: 'mlp_block.ffw_up.w', from: ['mlp.gating_einsum'], transform: 'same' },
    { path: 'mlp_block.ffw_down.kernel', from: ['mlp.linear'], transform: 'same' },
  ],
  layerPrefix: 'layer_',
  plainName: plainFlaxName,
};
