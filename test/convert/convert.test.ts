/** What a conversion writes, where it may write it, and what its report and manifest say. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { convert } from '../../src/convert/convert.js';
import { OutputFolder } from '../../src/convert/output-folder.js';
import { UsageError } from '../../src/errors.js';
import { readModelFolder } from '../../src/manifest.js';
import { Engine } from '../../src/runtime/engine.js';
import { packageVersion } from '../../src/version.js';
import { splitRows } from '../support/forwarding.js';
import { convertGolden, goldenOptions, goldenPath, loadGolden, temporaryFolder } from '../support/goldens.js';
import { huggingFaceFolder } from '../support/hugging-face-folder.js';
import { assertClose } from '../support/numbers.js';

const TOKENIZERS = fileURLToPath(new URL('../../fixtures/tokenizer', import.meta.url));
const RG_TINY = goldenPath('checkpoints/rg-tiny/hf-bf16')!;

const sha256 = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
const json = async (path: string) => JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;

describe('a model folder', () => {
  it('holds the model, its manifest and the configs, and every hash is right', async () => {
    const folder = await convertGolden('rg-tiny/hf-sharded-bf16');
    const { manifest } = await readModelFolder(folder);
    const files = (await readdir(folder)).sort();
    assert.deepEqual(files, [
      'config.json',
      'generation_config.json',
      'model.onnx',
      'model.onnx.data',
      'recgemma.json',
    ]);
    assert.deepEqual(Object.keys(manifest.files).sort(), files.slice(0, -1));
    for (const [name, record] of Object.entries(manifest.files)) {
      const path = join(folder, name);
      assert.deepEqual(record, { bytes: (await readFile(path)).length, sha256: await sha256(path) }, name);
    }
  });

  it('says where it comes from', async () => {
    const source = goldenPath('checkpoints/rg-tiny/hf-sharded-bf16')!;
    const { manifest } = await readModelFolder(await convertGolden('rg-tiny/hf-sharded-bf16'));
    const { format, layout, files } = manifest.source;
    assert.deepEqual({ format, layout }, { format: 'safetensors', layout: 'hf' });
    const names = (await readdir(source)).filter((name) => name.includes('safetensors'));
    assert.deepEqual(files.map(({ name }) => name).sort(), names.sort());
    for (const { name, sha256: hash } of files) assert.equal(hash, await sha256(join(source, name)), name);
  });

  it('names the files of an Orbax checkpoint below it, and a single file by its name', async () => {
    const orbax = await readModelFolder(await convertGolden('rg-tiny/flax-ocdbt-f32'));
    const root = goldenPath('checkpoints/rg-tiny/flax-ocdbt-f32')!;
    assert.ok(orbax.manifest.source.files.length > 3);
    for (const { name, sha256: hash } of orbax.manifest.source.files) {
      assert.ok(!name.startsWith('/') && !name.includes('..'), name);
      assert.equal(hash, await sha256(join(root, name)), name);
    }
    const single = await readModelFolder(await convertGolden('rg-tiny/dmtorch-bf16.pt'));
    assert.deepEqual(
      single.manifest.source.files.map(({ name }) => name),
      ['dmtorch-bf16.pt'],
    );
  });

  it('describes the model in its manifest', async () => {
    const { manifest } = await readModelFolder(await convertGolden('rg-tiny/flax-ocdbt-f32'));
    const { source: _, files: __, state, ...rest } = manifest;
    assert.deepEqual(rest, {
      schema_version: 1,
      tool: { name: 'recgemma', version: await packageVersion() },
      opset: 23,
      family: 'griffin',
      config: await json(goldenPath('configs/rg-tiny.json')!),
      precision: 'fp32',
      block_size: null,
      device: 'cpu',
      logits: 'last',
      parameters: 115_272,
      vocab_size: 512,
      query_heads: 5,
    });
    assert.equal(state.length, 16);
    assert.deepEqual(state[0], {
      input: 'past_key_values.0.recurrent_state',
      output: 'present.0.recurrent_state',
      kind: 'carried',
      dtype: 'float32',
      shape: [40],
      axes: ['lru_width'],
      bytes_per_sequence: 160,
    });
    assert.deepEqual(state[4], {
      input: 'past_key_values.2.key',
      output: 'present.2.key',
      kind: 'ring',
      dtype: 'float32',
      shape: [1, 16, 8],
      axes: ['kv_heads', 'window', 'head_dim'],
      bytes_per_sequence: 512,
    });
  });

  it("has a config.json that says what Hugging Face's own does", async () => {
    const folder = await convertGolden('rg-tiny/hf-bf16');
    const [made, own] = [await json(join(folder, 'config.json')), await json(join(RG_TINY, 'config.json'))];
    const unlike = {
      _block_types: 0,
      transformers_version: 0,
      torch_dtype: 0,
      use_cache: 0,
      attention_dropout: 0,
    };
    const training = ['initializer_range', 'final_w_init_variance_scale', 'w_init_variance_scale'];
    const tokens = ['bos_token_id', 'eos_token_id', 'pad_token_id'];
    for (const [field, value] of Object.entries(own)) {
      if (field in unlike || training.includes(field) || tokens.includes(field)) continue;
      assert.deepEqual(made[field], value, field);
    }
    assert.equal(
      (made.block_types as string[]).join(' '),
      'recurrent recurrent attention recurrent recurrent attention recurrent recurrent',
    );
    const generation = await json(join(folder, 'generation_config.json'));
    assert.deepEqual(generation, await json(join(RG_TINY, 'generation_config.json')));
  });

  it('takes the tokenizer that lies beside the checkpoint, or the one that is given', async () => {
    const checkpoint = await huggingFaceFolder(({ config, tensors }) => {
      // words.model has more ids than rg-tiny, so the vocabulary is made larger.
      const [name, dtype, [, width]] = tensors.get('model.embed_tokens.weight')!;
      tensors.set(name, [name, dtype, [4096, width!], new Uint8Array(4096 * width! * 2)]);
      config.vocab_size = 4096;
    });
    await copyFile(join(TOKENIZERS, 'words.model'), join(checkpoint, 'tokenizer.model'));
    const given = await temporaryFolder();
    await copyFile(join(TOKENIZERS, 'factbook-tokenizer.json'), join(given, 'tokenizer.json'));
    await copyFile(join(TOKENIZERS, 'factbook-tokenizer.json'), join(checkpoint, 'tokenizer.json.new'));
    for (const [tokenizer, name, source] of [
      [join(checkpoint, 'tokenizer.model'), 'tokenizer.model', join(TOKENIZERS, 'words.model')],
      [undefined, 'tokenizer.model', join(TOKENIZERS, 'words.model')],
      [given, 'tokenizer.json', join(TOKENIZERS, 'factbook-tokenizer.json')],
      [join(checkpoint, 'tokenizer.json.new'), 'tokenizer.json', join(TOKENIZERS, 'factbook-tokenizer.json')],
    ] as const) {
      const out = join(await temporaryFolder(), 'model');
      const report = await convert({ checkpoint, out, tokenizer });
      assert.deepEqual([report.tokenizer, report.notes, report.warnings], [[name], [], []]);
      assert.equal(await sha256(join(out, name)), await sha256(source));
      const { manifest } = await readModelFolder(out);
      assert.equal(manifest.files[name]!.sha256, await sha256(source));
    }
  });

  it('notes where a tokenizer comes from that lies elsewhere, and takes none of several', async () => {
    const { checkpoint, modelConfig } = goldenOptions('rg-tiny/dmtorch-bf16.pt');
    const folder = await temporaryFolder();
    await mkdir(join(folder, '2b-it'));
    await copyFile(checkpoint, join(folder, '2b-it', '2b-it.pt'));
    await copyFile(join(TOKENIZERS, 'bytelevel.json'), join(folder, 'tokenizer.json'));
    const options = {
      checkpoint: join(folder, '2b-it'),
      modelConfig,
      out: join(folder, 'model'),
      dryRun: true,
    };
    const report = await convert(options);
    assert.deepEqual(report.tokenizer, ['tokenizer.json']);
    assert.deepEqual(report.warnings, []);
    assert.equal(report.notes.at(-1), `The tokenizer is taken from ${join(folder, 'tokenizer.json')}.`);

    for (const name of ['a', 'b']) {
      await mkdir(join(folder, '2b-it', name));
      await copyFile(join(folder, 'tokenizer.json'), join(folder, '2b-it', name, 'tokenizer.json'));
    }
    const { tokenizer, warnings } = await convert(options);
    assert.deepEqual([tokenizer, warnings.length], [[], 1]);
    assert.match(warnings[0]!, /^Several folders hold a tokenizer \(.*a, .*b\), and none is taken/);
  });
});

describe('the report', () => {
  it('counts parameters and bytes, and warns where there is no tokenizer', async () => {
    const progress: [number, number][] = [];
    const out = join(await temporaryFolder(), 'model');
    const report = await convert({
      checkpoint: RG_TINY,
      out,
      onProgress: (...state) => progress.push(state),
    });
    const { seconds, config: _, warnings, ...rest } = report;
    assert.deepEqual(rest, {
      out,
      written: true,
      format: 'safetensors',
      layout: 'hf',
      family: 'griffin',
      precision: 'fp32',
      parameters: 115_272,
      source_bytes: 2 * 115_272,
      weight_bytes: 4 * 115_272,
      state_bytes_per_sequence: 6 * 4 * 4 * 40 + 2 * 2 * 4 * 16 * 8,
      state_bytes_per_token: 0,
      tokenizer: [],
      notes: [],
    });
    assert.ok(seconds > 0);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /No tokenizer was found beside the checkpoint/);
    assert.deepEqual(progress.at(-1), [report.weight_bytes, report.weight_bytes]);
  });

  it('of a dry run is the same, and nothing is written', async () => {
    const folder = await temporaryFolder();
    for (const out of [join(folder, 'model'), join(folder, 'not', 'yet', 'there')]) {
      const { seconds: _, ...dry } = await convert({ checkpoint: RG_TINY, out, dryRun: true });
      assert.deepEqual(await readdir(folder), []);
      assert.deepEqual([dry.written, dry.parameters, dry.weight_bytes], [false, 115_272, 4 * 115_272]);
    }
  });
});

describe('the place', () => {
  it('is made with the folders above it', async () => {
    const folder = await temporaryFolder();
    await convert({ checkpoint: RG_TINY, out: join(folder, 'a', 'b', 'model') });
    assert.deepEqual(await readdir(join(folder, 'a', 'b')), ['model']);
  });

  it('may be an empty folder', async () => {
    const out = await temporaryFolder();
    await convert({ checkpoint: RG_TINY, out });
    assert.ok((await readdir(out)).includes('recgemma.json'));
  });

  it('is not taken from what is there, except with --force from a model folder', async () => {
    const out = join(await temporaryFolder(), 'model');
    const again = (force: boolean, dryRun = false) =>
      convert({ checkpoint: RG_TINY, out, force, dryRun, attentionWindow: 7 });
    await convert({ checkpoint: RG_TINY, out });
    for (const dryRun of [true, false]) {
      await assert.rejects(again(false, dryRun), (error) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.message, `${out} already exists.`);
        assert.match(error.hint!, /--force/);
        return true;
      });
    }
    await again(true);
    const { manifest } = await readModelFolder(out);
    assert.equal(manifest.config.attention_window_size, 7);
    assert.deepEqual(await readdir(join(out, '..')), ['model']);
  });

  it('is not taken from a model folder that holds something else too', async () => {
    const out = join(await temporaryFolder(), 'model');
    await convert({ checkpoint: RG_TINY, out });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await mkdir(join(out, name));
    for (const dryRun of [true, false]) {
      await assert.rejects(convert({ checkpoint: RG_TINY, out, force: true, dryRun }), (error) => {
        assert.ok(error instanceof UsageError);
        assert.equal(
          error.message,
          `${out} also holds what recgemma did not make: a, b, c, d, e and 2 more.`,
        );
        return true;
      });
    }
    assert.ok((await readdir(out)).includes('g'));
  });

  it('is not taken from what the model is made from', async () => {
    const out = join(await temporaryFolder(), 'model');
    const { checkpoint, modelConfig } = goldenOptions('rg-tiny/dmtorch-bf16.pt');
    await convert({ checkpoint, modelConfig, out });
    await copyFile(modelConfig!, join(out, 'config.json'));
    const link = join(out, '..', 'link');
    await symlink(out, link);
    for (const inside of [join(out, 'config.json'), join(link, 'config.json')]) {
      await assert.rejects(convert({ checkpoint, modelConfig: inside, out, force: true }), (error) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.message, `${inside} lies in ${out}, which --force would replace.`);
        return true;
      });
    }
    assert.ok((await readdir(out)).includes('config.json'));
  });

  it('keeps the old model where the new one cannot be put there', async () => {
    const out = join(await temporaryFolder(), 'model');
    await convert({ checkpoint: RG_TINY, out });
    const before = (await readdir(out)).sort();
    const output = await OutputFolder.prepare(out, { force: true, sources: [] });
    const vanishing = output.fill((folder) => rm(folder, { recursive: true }));
    await assert.rejects(vanishing, { code: 'ENOENT' });
    assert.deepEqual((await readdir(out)).sort(), before);
    assert.deepEqual(await readdir(join(out, '..')), ['model']);
  });

  it('may be a symbolic link to a folder, which stays', async () => {
    const folder = await temporaryFolder();
    const [out, target] = [join(folder, 'link'), join(folder, 'elsewhere', 'model')];
    await mkdir(target, { recursive: true });
    await symlink(target, out);
    for (const force of [false, true]) await convert({ checkpoint: RG_TINY, out, force });
    assert.ok((await lstat(out)).isSymbolicLink());
    assert.ok((await readdir(target)).includes('recgemma.json'));
    assert.deepEqual(await readdir(join(target, '..')), ['model']);
  });

  it('is never taken from anything but a model folder', async () => {
    const folder = await temporaryFolder();
    const [mine, file] = [join(folder, 'mine'), join(folder, 'file')];
    await mkdir(mine);
    await writeFile(join(mine, 'notes.txt'), 'mine');
    await writeFile(file, 'mine');
    await assert.rejects(convert({ checkpoint: RG_TINY, out: mine, force: true }), {
      message: `${mine} is not a model folder; --force only replaces what recgemma made.`,
    });
    await assert.rejects(convert({ checkpoint: RG_TINY, out: file, force: true }), {
      message: `${file} is a file; --out must be a new folder.`,
    });
    await assert.rejects(convert({ checkpoint: RG_TINY, out: join(file, 'model') }), (error) => {
      assert.ok(error instanceof UsageError);
      assert.ok(error.message.startsWith(`${join(file, 'model')} cannot be made: `), error.message);
      return true;
    });
    assert.equal(await readFile(join(mine, 'notes.txt'), 'utf8'), 'mine');
    assert.equal(await readFile(file, 'utf8'), 'mine');
  });

  it('is not the checkpoint itself', async () => {
    const checkpoint = await huggingFaceFolder();
    await assert.rejects(convert({ checkpoint, out: checkpoint, force: true }), UsageError);
    assert.ok((await readdir(checkpoint)).includes('model.safetensors'));
  });

  it('is cleaned of what a killed conversion left', async () => {
    const out = join(await temporaryFolder(), 'model');
    await mkdir(`${out}.partial`);
    await writeFile(join(`${out}.partial`, 'model.onnx.data'), 'half');
    await convert({ checkpoint: RG_TINY, out });
    assert.deepEqual(await readdir(join(out, '..')), ['model']);
  });
});

describe('the form for other tools (--logits all)', () => {
  it('gives the golden logits in onnxruntime, with nothing but zeros for what it does not know', async () => {
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32', { logits: 'all' });
    const golden = await loadGolden('rg-tiny');
    const session = await InferenceSession.create(join(folder, 'model.onnx'));
    for (const { name, tokens, logit_positions: positions, logits } of golden.prompts) {
      const ids = new Tensor('int64', BigInt64Array.from(tokens, BigInt), [1, tokens.length]);
      const result = await session.run({ ...zeros(session), input_ids: ids }, ['logits']);
      assert.deepEqual(result.logits!.dims, [1, tokens.length, 512]);
      const rows = splitRows(result.logits!.data as Float32Array, tokens.length);
      const wanted = splitRows(golden.arrays.get(logits)!, positions.length);
      for (const [i, position] of positions.entries()) assertClose(rows[position]!, wanted[i]!, 5e-4, name);
    }
    await session.release();
  });

  it('is not run here', async () => {
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32', { logits: 'all' });
    await assert.rejects(Engine.load(folder), UsageError);
  });

  it('has the same weights', async () => {
    const all = await readModelFolder(await convertGolden('rg-tiny/flax-ocdbt-f32', { logits: 'all' }));
    const last = await readModelFolder(await convertGolden('rg-tiny/flax-ocdbt-f32'));
    const weights = 'model.onnx.data';
    assert.equal(all.manifest.files[weights]!.sha256, last.manifest.files[weights]!.sha256);
    assert.equal(all.manifest.logits, 'all');
  });
});

/** Zeros for every input of a session, each named axis 1 long. */
function zeros(session: InferenceSession): Record<string, Tensor> {
  const feeds = session.inputMetadata.map((input): [string, Tensor] => {
    if (!input.isTensor) throw new Error(`${input.name} is no tensor`);
    const dims = input.shape.map((axis) => (typeof axis === 'number' ? axis : 1));
    const count = dims.reduce((a, b) => a * b, 1);
    const data = input.type === 'int64' ? new BigInt64Array(count) : new Float32Array(count);
    return [input.name, new Tensor(input.type as 'float32', data as Float32Array, dims)];
  });
  return Object.fromEntries(feeds);
}

describe('the golden checkpoints', () => {
  it('hold configs that agree with the files of --model-config', async () => {
    const { modelConfig } = goldenOptions('rg-tiny/dmtorch-bf16.pt');
    const example = await readModelFolder(await convertGolden('rg-tiny/dmtorch-example-bf16.pt'));
    assert.deepEqual(example.manifest.config, await json(modelConfig!));
  });
});
