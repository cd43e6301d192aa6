/** Hugging Face transformers' names of a RecurrentGemma's tensors (modeling_recurrent_gemma.py), one rule for each Flax name. */

/** How one Flax tensor is made of Hugging Face's. */
export interface Rule {
  /** Below `blocks.{i}.` for a layer's. */
  readonly flax: string;
  /** Below `model.layers.{i}.` for a layer's. */
  readonly hf: readonly string[];
  readonly transform: 'same' | 'transpose' | 'conv' | 'stackTransposed' | 'stackBiases';
}

/** Rules of tensors outside the layers. */
export const HUGGING_FACE_RULES: readonly Rule[] = [
  { flax: 'embedder.input_embedding', hf: ['model.embed_tokens.weight'], transform: 'same' },
  { flax: 'final_norm.scale', hf: ['model.final_norm.weight'], transform: 'same' },
];

/** Rules of one layer's tensors, of both kinds of temporal block. */
export const HUGGING_FACE_LAYER_RULES: readonly Rule[] = [
  { flax: 'temporal_pre_norm.scale', hf: ['temporal_pre_norm.weight'], transform: 'same' },
  { flax: 'channel_pre_norm.scale', hf: ['channel_pre_norm.weight'], transform: 'same' },
  ...['linear_x', 'linear_y', 'linear_out'].flatMap((name) =>
    dense(`recurrent_block.${name}`, `temporal_block.${name}`),
  ),
  { flax: 'recurrent_block.conv_1d.w', hf: ['temporal_block.conv_1d.weight'], transform: 'conv' },
  { flax: 'recurrent_block.conv_1d.b', hf: ['temporal_block.conv_1d.bias'], transform: 'same' },
  {
    flax: 'recurrent_block.rg_lru.a_param',
    hf: ['temporal_block.rg_lru.recurrent_param'],
    transform: 'same',
  },
  ...gate('a_gate', 'recurrent_gate'),
  ...gate('input_gate', 'input_gate'),
  ...['q', 'k', 'v'].map(
    (name): Rule => ({
      flax: `attention_block.proj_${name}.kernel`,
      hf: [`temporal_block.${name}_proj.weight`],
      transform: 'transpose',
    }),
  ),
  ...dense('attention_block.proj_final', 'temporal_block.o_proj'),
  { flax: 'mlp_block.ffw_up.w', hf: mlpHalves('weight'), transform: 'stackTransposed' },
  { flax: 'mlp_block.ffw_up.b', hf: mlpHalves('bias'), transform: 'stackBiases' },
  ...dense('mlp_block.ffw_down', 'mlp_block.down_proj'),
];

function dense(flax: string, hf: string): Rule[] {
  return [
    { flax: `${flax}.kernel`, hf: [`${hf}.weight`], transform: 'transpose' },
    { flax: `${flax}.bias`, hf: [`${hf}.bias`], transform: 'same' },
  ];
}

function gate(flax: string, hf: string): Rule[] {
  return [
    {
      flax: `recurrent_block.rg_lru.${flax}.w`,
      hf: [`temporal_block.rg_lru.${hf}_weight`],
      transform: 'same',
    },
    { flax: `recurrent_block.rg_lru.${flax}.b`, hf: [`temporal_block.rg_lru.${hf}_bias`], transform: 'same' },
  ];
}

function mlpHalves(what: string): string[] {
  return [`mlp_block.gate_proj.${what}`, `mlp_block.up_proj.${what}`];
}
