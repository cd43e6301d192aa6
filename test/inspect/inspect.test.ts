/** Inspection: tensors as Python listed them, sizes as the paper's formulas give them, and a report whatever the checkpoint lacks. */

import assert from 'node:assert/strict';
import { appendFile, cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.js';
import { InputError, UnavailableError, UsageError } from '../../src/errors.js';
import { inspect } from '../../src/inspect/inspect.js';
import { stateSizes } from '../../src/inspect/state-sizes.js';
import { inNaturalOrder } from '../../src/inspect/summaries.js';
import { readModelFolder } from '../../src/manifest.js';
import { griffinState } from '../../src/models/griffin/griffin.js';
import { GRIFFIN_PRESETS } from '../../src/models/griffin/presets.js';
import { convertGolden, goldenPath, missing, temporaryFolder } from '../support/goldens.js';

const fixture = (path: string) => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));

/** What Python read: `[dtype, shape, hash]` by tensor name. */
type Listed = Readonly<Record<string, readonly [dtype: string, shape: readonly number[], hash: string]>>;

async function torchTensors(checkpoint: string): Promise<Listed> {
  const all = JSON.parse(await readFile(fixture('goldens/torch-tensors.json'), 'utf8'));
  return (all as Record<string, Listed>)[checkpoint]!;
}

async function flaxTensors(checkpoint: string): Promise<Listed> {
  const all = JSON.parse(await readFile(fixture('goldens/flax-tensors.json'), 'utf8'));
  return (all as { checkpoints: string[]; arrays: Listed }[]).find(({ checkpoints }) =>
    checkpoints.includes(checkpoint),
  )!.arrays;
}

describe('a checkpoint', { concurrency: 1 }, () => {
  for (const [checkpoint, format, layout, tensorsOf] of [
    ['rg-tiny/hf-bf16', 'safetensors', 'hf', torchTensors],
    ['rg-tiny/hf-sharded-bf16', 'safetensors', 'hf', torchTensors],
    ['rg-tiny/hf-bin-f32', 'torch', 'hf', torchTensors],
    ['rg-tiny/dmtorch-bf16.pt', 'torch', 'torch', torchTensors],
    ['rg-tiny/flax-ocdbt-f32', 'orbax', 'flax', flaxTensors],
    ['hawk-tiny/dmtorch-f32.pt', 'torch', 'torch', torchTensors],
  ] as const) {
    const skip = missing(`checkpoints/${checkpoint}`);
    it(`${checkpoint} is listed as Python lists it`, { skip }, async () => {
      const [model] = checkpoint.split('/');
      const expected = await tensorsOf(checkpoint);
      const isSilent = layout !== 'hf';
      const report = await inspect(goldenPath(`checkpoints/${checkpoint}`)!, {
        tensors: true,
        ...(isSilent && { modelConfig: goldenPath(`configs/${model}.json`)! }),
      });
      assert.deepEqual(
        [report.kind, report.format, report.layout, report.family],
        ['checkpoint', format, layout, 'griffin'],
      );
      const listed = report.tensors!.map(({ name, dtype, shape }) => [name, [dtype, shape]]);
      const stored = Object.entries(expected).map(([name, [dtype, shape]]) => [name, [dtype, shape]]);
      assert.deepEqual(Object.fromEntries(listed), Object.fromEntries(stored));
      assert.deepEqual(report.warnings, []);
      const config = JSON.parse(await readFile(goldenPath(`configs/${model}.json`)!, 'utf8'));
      assert.deepEqual(report.config, config);
      const bytes = report.tensors!.reduce((sum, tensor) => sum + tensor.bytes, 0);
      assert.equal(report.weights[0]!.bytes, bytes);
      const itemBytes = report.weights[0]!.dtype === 'bfloat16' ? 2 : 4;
      assert.equal(bytes, report.weights[0]!.elements * itemBytes);
    });
  }

  it('has the parameters and the state that its config gives', async () => {
    // fixtures/goldens/README.md: 115,272 parameters. Six recurrent blocks of width 40, two rings of 16 slots of 8.
    const report = await inspect(goldenPath('checkpoints/rg-tiny/hf-bf16')!, {
      contexts: [4, 16, 1000],
      batch: 3,
    });
    assert.equal(report.parameters, 115_272);
    const carried = 6 * 4 * (40 + 3 * 40);
    const slot = 2 * 2 * 8 * 4;
    assert.equal(report.state!.bytes_per_sequence, carried + 16 * slot);
    const token = 2 * 8 * 8 * 4;
    assert.deepEqual(
      report.state!.sizes.map(({ state_bytes, transformer_bytes }) => [state_bytes, transformer_bytes]),
      [
        [3 * (carried + 4 * slot), 3 * 4 * token],
        [3 * (carried + 16 * slot), 3 * 16 * token],
        [3 * (carried + 16 * slot), 3 * 1000 * token],
      ],
    );
  });

  it('that does not say its config still shows what is known, and what is missing', async () => {
    const path = goldenPath('checkpoints/rg-tiny/flax-ocdbt-f32')!;
    const report = await inspect(path);
    assert.deepEqual([report.family, report.layout, report.state], ['griffin', 'flax', null]);
    assert.deepEqual(report.missing, [
      'embeddings_scale_by_sqrt_dim',
      'attention_window_size',
      'logits_soft_cap',
    ]);
    assert.equal(report.config?.num_heads, 5);
    assert.equal(report.parameters, 115_272);
    assert.match(
      report.warnings.join(),
      /does not say its .*attention_window_size.* --preset .*--model-config/,
    );

    const more = await inspect(path, { attentionWindow: 16 });
    assert.deepEqual(more.missing, ['embeddings_scale_by_sqrt_dim', 'logits_soft_cap']);
    assert.equal(more.config?.attention_window_size, 16);
  });

  it('of no known family is listed all the same', async () => {
    const path = join(await temporaryFolder(), 'model.safetensors');
    const tensors = ['layer.10.w', 'layer.9.w', 'embed'].map(
      (name) => [name, 'float16', [2, 3], new Uint8Array(12)] as const,
    );
    await writeSafetensors(path, tensors);
    const report = await inspect(path, { tensors: true });
    assert.deepEqual(
      [report.format, report.family, report.config, report.state],
      ['safetensors', null, null, null],
    );
    assert.deepEqual(
      report.tensors!.map(({ name }) => name),
      ['embed', 'layer.9.w', 'layer.10.w'],
    );
    assert.deepEqual(report.weights, [{ dtype: 'float16', tensors: 3, elements: 18, bytes: 36 }]);
    assert.match(report.warnings.join(), /is not a model that can be converted/);
  });

  it('whose config contradicts its shapes is shown with a warning', async () => {
    const folder = join(await temporaryFolder(), 'hf');
    await cp(goldenPath('checkpoints/rg-tiny/hf-bf16')!, folder, { recursive: true });
    const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
    await rm(join(folder, 'config.json'), { force: true });
    await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, vocab_size: 7 }));
    const report = await inspect(folder);
    assert.equal(report.layout, 'hf');
    assert.match(report.warnings.join(), /vocab_size is 7 in .*config\.json but 512 in the tensors' shapes/);
  });

  it('tells the tokenizer that lies beside it, and warns of one that is damaged', async () => {
    const folder = join(await temporaryFolder(), 'hf');
    await cp(goldenPath('checkpoints/rg-tiny/hf-bf16')!, folder, { recursive: true });
    assert.equal((await inspect(folder)).tokenizer, null);
    await cp(fixture('factbook/griffin/tokenizer.model'), join(folder, 'tokenizer.model'));
    const { tokenizer } = await inspect(folder);
    assert.deepEqual([tokenizer?.kind, tokenizer?.vocab_size, tokenizer?.bos_id], ['SentencePiece', 2048, 2]);
    await writeFile(join(folder, 'tokenizer.model'), 'not a model');
    const damaged = await inspect(folder);
    assert.equal(damaged.tokenizer, null);
    assert.match(damaged.warnings.join(), /tokenizer\.model/);
  });

  it('is refused where it is none, or where what is said of it makes no sense', async () => {
    const path = goldenPath('checkpoints/rg-tiny/hf-bf16')!;
    await assert.rejects(inspect(join(path, 'nothing')), InputError);
    await assert.rejects(inspect(join(path, 'generation_config.json')), InputError);
    await assert.rejects(inspect(path, { preset: 'no-such-model' }), UsageError);
    await assert.rejects(inspect(path, { preset: 'recurrentgemma-2b' }), InputError);
    await assert.rejects(inspect(path, { modelConfig: join(path, 'nothing.json') }), InputError);
  });
});

describe('a model folder', { concurrency: 1 }, () => {
  it('shows its manifest, its weights and its files', async () => {
    const folder = await convertGolden('rg-tiny/hf-bf16');
    const report = await inspect(folder, { tensors: true });
    assert.deepEqual(
      [report.kind, report.format, report.layout, report.family, report.parameters],
      ['model', 'safetensors', 'hf', 'griffin', 115_272],
    );
    assert.equal(report.model?.precision, 'fp32');
    // Merging matrices that share an input changes their number, not their elements.
    assert.deepEqual(
      report.weights.map(({ dtype, elements, bytes }) => [dtype, elements, bytes]),
      [['float32', 115_272, 4 * 115_272]],
    );
    assert.equal(report.tensors!.length, report.weights[0]!.tensors);
    assert.equal(report.state!.bytes_per_sequence, 5888);
    assert.deepEqual(report.warnings, []);
    assert.ok(report.files.some(({ name, bytes }) => name === 'recgemma.json' && bytes > 0));
  });

  it('of int8 shows how its matrices and its rings are stored', async () => {
    const folder = await convertGolden('rg-tiny/hf-bf16', { precision: 'int8' });
    const { matrices } = (await readModelFolder(folder)).manifest;
    const report = await inspect(folder, { tensors: true, contexts: [1000] });
    assert.deepEqual(report.matrices, matrices);
    // Eight blocks with three matrices of the MLP each; six recurrent ones with three more, two of attention with four; the embedding.
    assert.equal(matrices!.length, 8 * 3 + 6 * 3 + 2 * 4 + 1);
    const summaries = report.model!.matrices;
    assert.equal(
      summaries.reduce((sum, { count }) => sum + count, 0),
      matrices!.length,
    );
    for (const { form, worst_error, worst_path } of summaries) {
      const alike = matrices!.filter((each) => JSON.stringify(each.form) === JSON.stringify(form));
      assert.equal(worst_error, Math.max(...alike.map(({ error }) => error)));
      assert.equal(alike.find(({ path }) => path === worst_path)?.error, worst_error);
    }
    assert.equal(report.model!.quality, null);
    // Keys and values of 8 bytes and a scale, in both layers and 16 slots; the transformer's in all 8 layers and for every token.
    const carried = 6 * 4 * (40 + 3 * 40);
    assert.equal(report.state!.bytes_per_sequence, carried + 2 * 16 * 2 * (8 + 4));
    assert.equal(report.state!.sizes[0]!.transformer_bytes, 1000 * 8 * 2 * (8 + 4));
  });

  it('with files that are missing or changed is shown with warnings', async () => {
    const folder = join(await temporaryFolder(), 'copy');
    await cp(await convertGolden('rg-tiny/hf-bf16'), folder, { recursive: true });
    await appendFile(join(folder, 'model.onnx.data'), 'x');
    await rm(join(folder, 'config.json'));
    await writeFile(join(folder, 'model.onnx'), 'not a graph');
    const { warnings, weights } = await inspect(folder);
    assert.deepEqual(weights, []);
    for (const name of ['model.onnx.data has', 'config.json is missing', 'model.onnx is not an ONNX model']) {
      assert.ok(
        warnings.some((warning) => warning.includes(name)),
        `${name}: ${warnings.join(' ')}`,
      );
    }
  });

  it('is named by its folder, not by its manifest', async () => {
    const folder = await convertGolden('rg-tiny/hf-bf16');
    await assert.rejects(inspect(join(folder, 'recgemma.json')), /give the folder/);
  });
});

describe('a reference to the hub', () => {
  it('is looked up in the cache, and never downloaded', async () => {
    const home = await temporaryFolder();
    await mkdir(join(home, 'hub'));
    const before = process.env.HF_HOME;
    process.env.HF_HOME = home;
    try {
      await assert.rejects(inspect('hf:org/name'), (error) => {
        assert.ok(error instanceof UnavailableError);
        assert.match(error.hint ?? '', /recgemma convert hf:org\/name/);
        return true;
      });
    } finally {
      if (before === undefined) delete process.env.HF_HOME;
      else process.env.HF_HOME = before;
    }
  });
});

describe('the size of the state', () => {
  it('of the published 2B is what its shapes give, and that of a transformer grows on', () => {
    const { 'recurrentgemma-2b': preset } = GRIFFIN_PRESETS;
    const config = { ...preset!, vocabSize: 256_000 };
    const published = { width: 2560, num_heads: 10, block_types: config.blockTypes };
    const sizes = stateSizes(griffinState(config, 'float32'), published, {
      contexts: [2048, 8192],
      batch: 1,
    });
    // 18 recurrent blocks of 2560 with four vectors each; 8 attention blocks, keys and values of 2048 x 256.
    assert.equal(sizes.bytes_per_sequence, 18 * 4 * 2560 * 4 + 8 * 2 * 2048 * 256 * 4);
    assert.equal(sizes.compared_with?.bytes_per_token, 2 * 26 * 256 * 4);
    const [window, later] = sizes.sizes;
    assert.equal(window!.state_bytes, later!.state_bytes);
    assert.equal(later!.transformer_bytes, 4 * window!.transformer_bytes!);
    assert.equal(later!.ratio, later!.transformer_bytes! / later!.state_bytes);
  });

  it('is compared with nothing where the config is of another kind', () => {
    const { compared_with, sizes } = stateSizes([], { hidden_size: 3 }, { contexts: [1], batch: 1 });
    assert.deepEqual([compared_with, sizes[0]?.transformer_bytes], [null, null]);
  });
});

describe('natural order', () => {
  it('puts blocks.2 before blocks.10', () => {
    const tensors = ['blocks.10.b', 'blocks.2.b', 'blocks.2.a', 'a'].map((name) => ({
      name,
      dtype: 'float32' as const,
      shape: [],
      bytes: 4,
    }));
    assert.deepEqual(
      inNaturalOrder(tensors).map(({ name }) => name),
      ['a', 'blocks.2.a', 'blocks.2.b', 'blocks.10.b'],
    );
  });
});
