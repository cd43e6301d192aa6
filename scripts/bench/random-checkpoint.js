// Writes a RecurrentGemma-2B-shaped checkpoint of random bfloat16 weights, as Hugging Face stores it: 5.4 GB of safetensors.

import { randomFillSync } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const SHAPE = { vocab: 256000, width: 2560, expanded: 7680, heads: 10, layers: 26, window: 2048 };

const CONFIG = {
  architectures: ['RecurrentGemmaForCausalLM'],
  model_type: 'recurrent_gemma',
  vocab_size: SHAPE.vocab,
  hidden_size: SHAPE.width,
  intermediate_size: 2 * SHAPE.expanded,
  num_hidden_layers: SHAPE.layers,
  num_attention_heads: SHAPE.heads,
  num_key_value_heads: 1,
  head_dim: SHAPE.width / SHAPE.heads,
  lru_width: SHAPE.width,
  block_types: ['recurrent', 'recurrent', 'attention'],
  attention_window_size: SHAPE.window,
  logits_soft_cap: 30,
  bos_token_id: 2,
  eos_token_id: 1,
  pad_token_id: 0,
};

/** Makes the checkpoint in `folder` unless it is there, and returns the size of its weights in bytes. */
export function makeRandomCheckpoint(folder) {
  const tensors = tensorShapes();
  const sizes = tensors.map(([, shape]) => 2 * shape.reduce((a, b) => a * b, 1));
  const total = sizes.reduce((a, b) => a + b, 0);
  const file = join(folder, 'model.safetensors');
  if (existsSync(file)) return total;

  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(CONFIG, null, 2));
  let end = 0;
  const entries = tensors.map(([name, shape], i) => {
    const start = end;
    end += sizes[i];
    return [name, { dtype: 'BF16', shape, data_offsets: [start, end] }];
  });
  const header = Buffer.from(
    JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));

  const output = openSync(`${file}.partial`, 'w');
  writeSync(output, length);
  writeSync(output, header);
  const block = smallWeights(8 << 20);
  for (let left = total; left > 0; left -= block.length) {
    writeSync(output, block, 0, Math.min(left, block.length));
  }
  closeSync(output);
  renameSync(`${file}.partial`, file);
  return total;
}

/** Random bfloat16 between 2^-8 and 2^-5 in size, of either sign: what weights look like, and no infinities. */
function smallWeights(bytes) {
  const block = randomFillSync(Buffer.alloc(bytes));
  for (let i = 1; i < bytes; i += 2) block[i] = (block[i] & 0x80) | 0x3b | (block[i] & 0x01);
  return block;
}

function tensorShapes() {
  const { vocab, width, expanded, heads, layers } = SHAPE;
  const block = width / heads;
  const recurrent = [
    ...['linear_x', 'linear_y', 'linear_out'].flatMap((name) => [
      [`${name}.weight`, [width, width]],
      [`${name}.bias`, [width]],
    ]),
    ['conv_1d.weight', [width, 1, 4]],
    ['conv_1d.bias', [width]],
    ['rg_lru.recurrent_param', [width]],
    ...['recurrent_gate', 'input_gate'].flatMap((name) => [
      [`rg_lru.${name}_weight`, [heads, block, block]],
      [`rg_lru.${name}_bias`, [heads, block]],
    ]),
  ];
  const attention = [
    ['q_proj.weight', [width, width]],
    ['k_proj.weight', [block, width]],
    ['v_proj.weight', [block, width]],
    ['o_proj.weight', [width, width]],
    ['o_proj.bias', [width]],
  ];
  const mlp = [
    ...['gate_proj', 'up_proj'].flatMap((name) => [
      [`mlp_block.${name}.weight`, [expanded, width]],
      [`mlp_block.${name}.bias`, [expanded]],
    ]),
    ['mlp_block.down_proj.weight', [width, expanded]],
    ['mlp_block.down_proj.bias', [width]],
  ];
  const layer = (i) => [
    ['temporal_pre_norm.weight', [width]],
    ['channel_pre_norm.weight', [width]],
    ...(i % 3 === 2 ? attention : recurrent).map(([name, shape]) => [`temporal_block.${name}`, shape]),
    ...mlp,
  ];
  return [
    ['model.embed_tokens.weight', [vocab, width]],
    ['model.final_norm.weight', [width]],
    ...Array.from({ length: layers }, (_, i) =>
      layer(i).map(([name, shape]) => [`model.layers.${i}.${name}`, shape]),
    ).flat(),
  ];
}
