/** Hugging Face transformers' names of a RecurrentGemma's tensors (modeling_recurrent_gemma.py), one rule for each Flax name. */

import { denseRules, type Renaming, type Rule } from '../renaming.js';

/** Rules of tensors outside the layers. */
const RULES: readonly Rule[] = [
  { path: 'embedder.input_embedding', from: ['model.embed_tokens.weight'], transform: 'same' },
  { path: 'final_norm.scale', from: ['model.final_norm.weight'], transform: 'same' },
];

/** Rules of one layer's tensors, of both kinds of temporal block. */
const LAYER_RULES: readonly Rule[] = [
  { path: 'temporal_pre_norm.scale', from: ['temporal_pre_norm.weight'], transform: 'same' },
  { path: 'channel_pre_norm.scale', from: ['channel_pre_norm.weight'], transform: 'same' },
  ...['linear_x', 'linear_y', 'linear_out'].flatMap((name) =>
    denseRules(`recurrent_block.${name}`, `temporal_block.${name}`),
  ),
  { path: 'recurrent_block.conv_1d.w', from: ['temporal_block.conv_1d.weight'], transform: 'conv' },
  { path: 'recurrent_block.conv_1d.b', from: ['temporal_block.conv_1d.bias'], transform: 'same' },
  {
    path: 'recurrent_block.rg_lru.a_param',
    from: ['temporal_block.rg_lru.recurrent_param'],
    transform: 'same',
  },
  ...gate('a_gate', 'recurrent_gate'),
  ...gate('input_gate', 'input_gate'),
  ...['q', 'k', 'v'].map(
    (name): Rule => ({
      path: `attention_block.proj_${name}.kernel`,
      from: [`temporal_block.${name}_proj.weight`],
      transform: 'transpose',
    }),
  ),
  ...denseRules('attention_block.proj_final', 'temporal_block.o_proj'),
  { path: 'mlp_block.ffw_up.w', from: mlpHalves('weight'), transform: 'stackTransposed' },
  { path: 'mlp_block.ffw_up.b', from: mlpHalves('bias'), transform: 'stackBiases' },
  ...denseRules('mlp_block.ffw_down', 'mlp_block.down_proj'),
];

function gate(path: string, from: string): Rule[] {
  return [
    {
      path: `recurrent_block.rg_lru.${path}.w`,
      from: [`temporal_block.rg_lru.${from}_weight`],
      transform: 'same',
    },
    {
      path: `recurrent_block.rg_lru.${path}.b`,
      from: [`temporal_block.rg_lru.${from}_bias`],
      transform: 'same',
    },
  ];
}

function mlpHalves(what: string): string[] {
  return [`mlp_block.gate_proj.${what}`, `mlp_block.up_proj.${what}`];
}

/** From Hugging Face's names to Flax names. */
export const HUGGING_FACE: Renaming = { rules: RULES, layerRules: LAYER_RULES, layerPrefix: 'model.layers.' };
