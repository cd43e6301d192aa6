/** Heads whose rotated pairs fill no whole register: what onnxruntime computes for the last of them must not depend on the tokens beside. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.js';
import { convert } from '../../src/convert/convert.js';
import { createRandom } from '../../src/runtime/random.js';
import { logitsAt } from '../support/forwarding.js';
import { loadEngine, temporaryFolder } from '../support/goldens.js';

const CONFIG = {
  model_type: 'llama',
  vocab_size: 97,
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
};

/** A Llama of random weights whose heads have 6 elements, 3 pairs: in Hugging Face's form. */
async function oddLlama(): Promise<string> {
  const random = createRandom(6);
  const folder = await temporaryFolder();
  const shapes: [string, number[]][] = [
    ['model.embed_tokens.weight', [97, 24]],
    ['model.norm.weight', [24]],
    ...[0, 1].flatMap((layer): [string, number[]][] =>
      Object.entries({
        'self_attn.q_proj': [24, 24],
        'self_attn.k_proj': [12, 24],
        'self_attn.v_proj': [12, 24],
        'self_attn.o_proj': [24, 24],
        'mlp.gate_proj': [40, 24],
        'mlp.up_proj': [40, 24],
        'mlp.down_proj': [24, 40],
        input_layernorm: [24],
        post_attention_layernorm: [24],
      }).map(([name, shape]) => [`model.layers.${layer}.${name}.weight`, shape]),
    ),
  ];
  const tensors = shapes.map(([name, shape]) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => 2 * random() - 1);
    return [name, 'float32', shape, new Uint8Array(values.buffer)] as const;
  });
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
  await writeFile(join(folder, 'config.json'), JSON.stringify(CONFIG));
  return folder;
}

it('heads of three pairs give the same to the bit in int8, however the tokens are cut', async () => {
  const out = join(await temporaryFolder(), 'model');
  await convert({ checkpoint: await oddLlama(), out, precision: 'int8' });
  const engine = await loadEngine(out);
  const tokens = Array.from({ length: 130 }, (_, i) => (i * 31) % 97);
  const positions = [...tokens.keys()];
  const whole = await logitsAt(engine, tokens, positions);
  for (const chunk of [1, 2, 5, 16, 61]) {
    const cut = await logitsAt(engine, tokens, positions, chunk);
    for (const [i, row] of cut.entries())
      assert.deepEqual(row, whole[i], `chunks of ${chunk}, position ${i}`);
  }
});
