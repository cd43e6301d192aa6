/** Every model passes Python's own ONNX checker and decodes there to what was meant (scripts/check_onnx.py). */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readModelFolder } from '../../src/manifest.js';
import { convertGolden, goldenPath } from '../support/goldens.js';

const run = promisify(execFile);
const PYTHON = process.env.RECGEMMA_PYTHON ?? 'python3';
const SCRIPT = fileURLToPath(new URL('../../scripts/check_onnx.py', import.meta.url));

const hasOnnx = await run(PYTHON, ['-c', 'import onnx']).then(
  () => true,
  () => false,
);
const skip = !hasOnnx && `${PYTHON} has no onnx; name another with RECGEMMA_PYTHON`;

/** What the script prints of a model. */
interface Described {
  readonly ir_version: number;
  readonly opsets: Record<string, number>;
  readonly producer: string;
  readonly metadata: Record<string, string>;
  readonly inputs: Record<string, (string | number)[]>;
  readonly outputs: Record<string, (string | number)[]>;
  readonly inferred: Record<string, (string | number)[]>;
  readonly operators: string[];
  readonly weights: Record<
    string,
    { location: string; offset: number; length: number; shape: number[]; sha256: string }
  >;
}

const MODELS = [
  'rg-tiny/flax-ocdbt-f32',
  'griffin-tiny/dmtorch-f32.pt',
  'hawk-tiny/dmtorch-f32.pt',
  'mqa-tiny/dmtorch-f32.pt',
  'gemma-mha-tiny/hf-f32',
  'mistral-tiny/hf-sharded-f32',
  'mamba-tiny/hf-f32',
];
/** Every model in both forms, and one in every precision. */
const FORMS = [
  ...(['last', 'all'] as const).flatMap((logits) =>
    MODELS.map((model) => ({ model, logits, precision: 'fp32' as const })),
  ),
  ...(['fp16', 'int8', 'int4'] as const).map((precision) => ({
    model: MODELS[0]!,
    logits: 'last' as const,
    precision,
  })),
].filter(({ model }) => goldenPath(`checkpoints/${model}`));

describe("Python's onnx", { skip }, () => {
  const folders = new Map<string, string>();
  const found = new Map<string, Described>();
  const key = ({ model, ...options }: (typeof FORMS)[number]) =>
    `${model}, logits ${options.logits}, ${options.precision}`;

  before(async () => {
    for (const form of FORMS) {
      const { model, ...options } = form;
      folders.set(key(form), await convertGolden(model, options));
    }
    const { stdout } = await run(PYTHON, [SCRIPT, ...folders.values()], { maxBuffer: 2 ** 26 });
    const lines = stdout.trim().split('\n');
    for (const [i, name] of [...folders.keys()].entries()) found.set(name, JSON.parse(lines[i]!));
  });

  for (const form of FORMS) {
    it(`accepts ${key(form)}`, async () => {
      const model = found.get(key(form))!;
      const { manifest } = await readModelFolder(folders.get(key(form))!);
      // Of onnxruntime's own operators the checker knows only that they are declared.
      const isQuantized = form.precision === 'int8' || form.precision === 'int4';
      assert.deepEqual(model.opsets, { '': manifest.opset, ...(isQuantized && { 'com.microsoft': 1 }) });
      assert.equal(model.ir_version, 10);
      assert.equal(model.producer, `recgemma ${manifest.tool.version}`);
      assert.equal(model.metadata['recgemma.family'], manifest.family);
      assert.deepEqual(JSON.parse(model.metadata['recgemma.config']!), manifest.config);
    });

    it(`infers what ${key(form)} declares`, () => {
      const { outputs, inferred } = found.get(key(form))!;
      // Where both know a number, it is the same; a strict inference has refused contradictions already.
      for (const [name, dims] of Object.entries(inferred)) {
        assert.equal(dims.length, outputs[name]!.length, name);
        for (const [i, dim] of dims.entries())
          if (typeof dim === 'number') assert.equal(outputs[name]![i], dim, name);
      }
    });

    it(`finds the weights of ${key(form)} at pages of their own`, async () => {
      const { weights } = found.get(key(form))!;
      const folder = folders.get(key(form))!;
      const table = weights['embedder.input_embedding']!;
      // In most forms the table of embeddings has a second name for the head, at the same place.
      const { 'embedder.input_embedding_product': factor = table, ...rest } = weights;
      assert.deepEqual(factor, table);
      const places = Object.values(rest).sort((a, b) => a.offset - b.offset);
      let end = 0;
      for (const { location, offset, length, shape } of places) {
        assert.equal(location, 'model.onnx.data');
        assert.equal(offset, Math.ceil(end / 4096) * 4096);
        if (form.precision === 'fp32') assert.equal(length, 4 * shape.reduce((a, b) => a * b, 1));
        end = offset + length;
      }
      assert.equal((await stat(join(folder, 'model.onnx.data'))).size, end);
    });
  }

  it('sees the inputs and outputs that the design promises', () => {
    const last = found.get('rg-tiny/flax-ocdbt-f32, logits last, fp32')!;
    const all = found.get('rg-tiny/flax-ocdbt-f32, logits all, fp32')!;
    const state: [string, (string | number)[]][] = [];
    const newState: [string, (string | number)[]][] = [];
    for (const [layer, type] of [...'rrarrarr'].entries()) {
      const tensors: [string, (string | number)[], (string | number)[]][] =
        type === 'r'
          ? [
              ['recurrent_state', ['batch', 40], ['batch', 40]],
              ['conv_state', ['batch', 3, 40], ['batch', 3, 40]],
            ]
          : ['key', 'value'].map((what) => [what, ['batch', 1, 'cached', 8], ['batch', 1, 'time', 8]]);
      for (const [what, before, after] of tensors) {
        state.push([`past_key_values.${layer}.${what}`, before]);
        newState.push([`present.${layer}.${what}`, after]);
      }
    }
    const tokens = { input_ids: ['batch', 'time'], num_tokens: ['batch'], padding: ['batch'] };
    const past = Object.fromEntries(state);
    const present = Object.fromEntries(newState);
    assert.deepEqual(last.inputs, { ...tokens, ...past, rows: ['rows'], targets: ['rows'], k: [1] });
    assert.deepEqual(last.outputs, {
      ...present,
      top_logits: ['rows', 'k'],
      top_ids: ['rows', 'k'],
      target_logit: ['rows'],
      log_sum_exp: ['rows'],
      logits: ['rows', 512],
    });
    assert.deepEqual(all.inputs, { ...tokens, ...past });
    assert.deepEqual(all.outputs, { ...present, logits: ['batch', 'time', 512] });
  });

  it('reads the weights that the checkpoint holds', async () => {
    const { weights } = found.get('rg-tiny/flax-ocdbt-f32, logits last, fp32')!;
    const lists = JSON.parse(await readFile(goldenPath('flax-tensors.json')!, 'utf8')) as {
      checkpoints: string[];
      arrays: Record<string, [dtype: string, shape: number[], sha256: string]>;
    }[];
    const { arrays } = lists.find(({ checkpoints }) => checkpoints.includes('rg-tiny/flax-ocdbt-f32'))!;
    const compared = Object.entries(arrays).filter(([name]) => weights[name.replace('params.', '')]);
    // Those that were not merged with others.
    assert.ok(compared.length > 50, `only ${compared.length}`);
    for (const [name, [, shape, sha256]] of compared) {
      const found = weights[name.replace('params.', '')]!;
      assert.deepEqual([name, found.shape, found.sha256], [name, shape, sha256]);
    }
  });
});
