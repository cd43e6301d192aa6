/** Checkpoints that cannot be converted: what is said, and that nothing is left behind. */

import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { convert } from '../../src/convert/convert.js';
import { InputError, InterruptedError, UsageError } from '../../src/errors.js';
import { goldenPath, temporaryFolder } from '../support/goldens.js';
import { huggingFaceFolder } from '../support/hugging-face-folder.js';
import { refused } from './refused.js';

const TOKENIZERS = fileURLToPath(new URL('../../fixtures/tokenizer', import.meta.url));
const RG_TINY = goldenPath('checkpoints/rg-tiny/hf-bf16')!;
const LAYER = 'model.layers.0';

describe('tensors', () => {
  it('that are missing, of another shape or dtype, or too many are listed in one error', async () => {
    const checkpoint = await huggingFaceFolder(({ tensors }) => {
      tensors.delete(`${LAYER}.temporal_block.linear_out.weight`);
      tensors.delete(`${LAYER}.mlp_block.up_proj.bias`);
      tensors.set('model.vision.weight', ['model.vision.weight', 'float32', [1], new Uint8Array(4)]);
      const bias = `${LAYER}.temporal_block.linear_x.bias`;
      tensors.set(bias, [bias, 'bfloat16', [41], new Uint8Array(82)]);
      const gate = `${LAYER}.temporal_block.linear_y.weight`;
      tensors.set(gate, [gate, 'bfloat16', [41, 40], new Uint8Array(41 * 80)]);
      const norm = 'model.final_norm.weight';
      tensors.set(norm, [norm, 'int32', [40], new Uint8Array(160)]);
    });
    const error = await refused({ checkpoint }, InputError);
    const [first, ...faults] = error.message.split('\n');
    assert.equal(first, `${checkpoint} does not hold the model that its config describes:`);
    assert.deepEqual(faults.sort(), [
      `  missing: "${LAYER}.mlp_block.gate_proj.bias + ${LAYER}.mlp_block.up_proj.bias"`,
      `  missing: "${LAYER}.temporal_block.linear_out.weight"`,
      `  not part of this model: "${LAYER}.mlp_block.gate_proj.bias"`,
      '  not part of this model: "model.vision.weight"',
      '  unfit: "model.final_norm.weight" holds int32; a weight must be one of float64, float32, float16, bfloat16',
      `  unfit: "${LAYER}.temporal_block.linear_x.bias" has shape [41]; the config needs [40]`,
      `  unfit: "${LAYER}.temporal_block.linear_y.weight" has shape [40, 41] (stored as [41, 40]); the config needs [40, 40]`,
    ]);
    const { missing, unfit, extra } = error.details as Record<string, string[]>;
    assert.deepEqual([missing!.length, unfit!.length, extra!.length], [2, 3, 2]);
  });

  it('whose shapes contradict the config are named with both values', async () => {
    const checkpoint = await huggingFaceFolder(({ config }) => {
      config.num_hidden_layers = 7;
      config.vocab_size = 500;
    });
    const { message } = await refused({ checkpoint }, InputError);
    assert.match(message, /vocab_size is 500 in .*config\.json but 512 in the tensors' shapes/);
    assert.match(
      message,
      /block_types is 7 blocks rrarrar in .* but 8 blocks rrarrarr in the tensors' shapes/,
    );
  });

  it('that should be tied but differ are refused', async () => {
    const copyOfEmbedding =
      (flip: boolean) => (made: Parameters<Parameters<typeof huggingFaceFolder>[0] & {}>[0]) => {
        const [, dtype, shape, data] = made.tensors.get('model.embed_tokens.weight')!;
        const copy = Uint8Array.from(data);
        if (flip) copy[copy.length - 1]! ^= 1;
        made.tensors.set('lm_head.weight', ['lm_head.weight', dtype, shape, copy]);
      };
    const differing = await huggingFaceFolder(copyOfEmbedding(true));
    const { message } = await refused({ checkpoint: differing }, InputError);
    assert.equal(
      message,
      `${differing}: "lm_head.weight" differs from "model.embed_tokens.weight"; this model has one matrix for both.`,
    );
    const equal = await huggingFaceFolder(copyOfEmbedding(false));
    const { written } = await convert({ checkpoint: equal, out: join(await temporaryFolder(), 'model') });
    assert.equal(written, true);
  });

  it('of another size than the embedding, as a head, are refused', async () => {
    const checkpoint = await huggingFaceFolder(({ tensors }) => {
      tensors.set('lm_head.weight', ['lm_head.weight', 'float32', [1], new Uint8Array(4)]);
    });
    assert.match((await refused({ checkpoint }, InputError)).message, /"lm_head\.weight" differs from/);
  });
});

describe('a config', () => {
  it('that is missing leaves something unsaid, which is named with a hint', async () => {
    const folder = await temporaryFolder();
    await copyFile(join(RG_TINY, 'model.safetensors'), join(folder, 'model.safetensors'));
    const error = await refused({ checkpoint: folder }, UsageError);
    assert.equal(
      error.message,
      'The checkpoint does not say its embeddings_scale_by_sqrt_dim, attention_window_size, logits_soft_cap.',
    );
    assert.match(error.hint!, /--preset .*--model-config/);
  });

  it('that is no JSON is refused by its path', async () => {
    const folder = await huggingFaceFolder();
    await writeFile(join(folder, 'config.json'), '{"vocab_size": 512,');
    assert.match((await refused({ checkpoint: folder }, InputError)).message, /config\.json/);
  });

  it('given by --model-config must be a file', async () => {
    const options = { checkpoint: RG_TINY, modelConfig: '/nowhere/config.json' };
    assert.equal((await refused(options, InputError)).message, '/nowhere/config.json cannot be read.');
  });

  it('that contradicts a preset is refused', async () => {
    const { message } = await refused({ checkpoint: RG_TINY, preset: 'recurrentgemma-2b' }, InputError);
    assert.match(message, /width is 40 in .*config\.json but 2560 in preset recurrentgemma-2b/);
  });
});

describe('a checkpoint', () => {
  it('of other names than --from says is refused', async () => {
    const { message } = await refused({ checkpoint: RG_TINY, from: 'flax' }, InputError);
    assert.equal(message, `${RG_TINY} has the tensor names of layout hf, not flax.`);
  });

  it('of another model is refused with some of its names', async () => {
    const checkpoint = await huggingFaceFolder(({ tensors }) => {
      tensors.clear();
      const name = 'model.decoder.layers.0.self_attn.q_proj.weight';
      tensors.set(name, [name, 'float32', [2, 2], new Uint8Array(16)]);
    });
    const error = await refused({ checkpoint }, InputError);
    assert.match(
      error.message,
      /is not a model that can be converted: it holds 1 tensors, such as "model\.decoder/,
    );
    assert.match(error.hint!, /griffin/);
  });

  it('that is cut off is refused', async () => {
    const folder = await huggingFaceFolder();
    const file = join(folder, 'model.safetensors');
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, whole.length - 10));
    await refused({ checkpoint: folder }, InputError);
  });
});

describe('a tokenizer', () => {
  it('with more ids than the model is refused', async () => {
    const tokenizer = await temporaryFolder();
    await copyFile(join(TOKENIZERS, 'factbook-tokenizer.json'), join(tokenizer, 'tokenizer.json'));
    const error = await refused({ checkpoint: RG_TINY, tokenizer }, InputError);
    assert.match(error.message, /^The tokenizer .*tokenizer\.json has 2048 ids, the model only 512\.$/);
  });

  it('that is not there is refused', async () => {
    const empty = join(await temporaryFolder(), 'empty');
    await mkdir(join(empty, 'deeper'), { recursive: true });
    const { message } = await refused({ checkpoint: RG_TINY, tokenizer: join(empty, 'deeper') }, InputError);
    assert.match(message, /deeper holds no tokenizer\.model and no tokenizer\.json\.$/);
  });
});

describe('an interrupted conversion', () => {
  it('that never began leaves nothing', async () => {
    const signal = AbortSignal.abort(new InterruptedError());
    await refused({ checkpoint: RG_TINY, signal }, InterruptedError);
  });

  for (const when of ['first', 'middle', 'last'] as const) {
    it(`in its ${when} weight leaves nothing`, async () => {
      const controller = new AbortController();
      const onProgress = (written: number, total: number) => {
        if (written > { first: 0, middle: total / 2, last: total - 1 }[when])
          controller.abort(new InterruptedError());
      };
      await refused({ checkpoint: RG_TINY, onProgress, signal: controller.signal }, InterruptedError);
    });
  }

  it('leaves no folders that were made above it', async () => {
    const folder = await temporaryFolder();
    const out = join(folder, 'a', 'b', 'model');
    const controller = new AbortController();
    const onProgress = () => controller.abort(new InterruptedError());
    const converting = convert({ checkpoint: RG_TINY, out, onProgress, signal: controller.signal });
    await assert.rejects(converting, InterruptedError);
    assert.deepEqual(await readdir(folder), []);
  });

  it('with --force leaves the old model as it was', async () => {
    const out = join(await temporaryFolder(), 'model');
    await convert({ checkpoint: RG_TINY, out });
    const before = await readFile(join(out, 'recgemma.json'), 'utf8');
    const controller = new AbortController();
    const options = { checkpoint: RG_TINY, attentionWindow: 9, force: true, signal: controller.signal };
    const onProgress = () => controller.abort(new InterruptedError());
    await assert.rejects(convert({ ...options, out, onProgress }), InterruptedError);
    assert.equal(await readFile(join(out, 'recgemma.json'), 'utf8'), before);
    assert.deepEqual((await readdir(join(out, '..'))).sort(), ['model']);
  });
});
