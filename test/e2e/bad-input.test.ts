/** Files that are no checkpoints, or damaged ones: each ends with 3 and one sentence, and nothing is left behind. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { entries, fixture, jsonFixture } from '../checkpoint/digests.js';
import { leaf, manifest, writeDatabase } from '../checkpoint/orbax/write-ocdbt.js';
import { changedGolden } from '../support/changed-golden.js';
import { goldenPath, temporaryFolder } from '../support/goldens.js';
import { huggingFaceFolder } from '../support/hugging-face-folder.js';
import { jsonLines, NOT_BUILT, recgemma } from './run.js';

const CONFIG = goldenPath('configs/rg-tiny.json')!;
/** Two processes at a time: the machines that run this have few cores. */
const LANES = 2;

/** A bad checkpoint, what its error must speak of beside the path, and flags instead of those that a Griffin needs. */
type Case = readonly [path: string, about?: RegExp, flags?: readonly string[]];

/** Converts each path, expects the refusal of a bad input, and an empty folder after all of them. */
async function allRefused(cases: readonly Case[]): Promise<void> {
  const folder = await temporaryFolder();
  const left = [...cases.entries()];
  const lane = async () => {
    for (let next = left.shift(); next; next = left.shift())
      await refused(next[1], join(folder, `${next[0]}`));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  assert.deepEqual(await readdir(folder), []);
}

async function refused([path, about, flags]: Case, out: string): Promise<void> {
  const given = flags ?? ['--model-config', CONFIG];
  const result = await recgemma(['convert', path, '--out', out, '--json', ...given]);
  const [line] = jsonLines<{ error: { code: string; message: string } }>(result);
  const message = line?.error.message ?? '';
  const told = `${path}: ${result.stdout}${result.stderr}`;
  assert.deepEqual([result.status, line?.error.code], [3, 'input'], told);
  assert.ok(message.includes(path), told);
  assert.match(message, /^[^\n]+[.!]$/, told);
  assert.doesNotMatch(result.stderr, /error|\n {4}at /i, told);
  if (about) assert.match(message, about, told);
}

describe('bad input', { skip: NOT_BUILT, concurrency: 1 }, () => {
  it('safetensors', async () => {
    const cases = [...(await jsonFixture('safetensors/cases.json'))];
    const bad = cases.filter(([, said]) => entries(said).has('error')).map(([name]) => name);
    assert.ok(bad.length > 20);
    await allRefused(bad.map((name): Case => [fixture(`safetensors/${name}.safetensors`)]));
  });

  it('PyTorch files, of which none is executed', async () => {
    const trace = '/tmp/recgemma-was-here'; // what the fixtures that call os.system would leave
    const bad = [...entries((await jsonFixture('torch/expected.json')).get('refused'))];
    assert.ok(bad.length > 20);
    await allRefused(
      bad.map(([name, word]): Case => {
        return [fixture(`torch/${name}`), new RegExp(String(word).replaceAll('.', '\\.'))];
      }),
    );
    assert.ok(!existsSync(trace));
  });

  it('Orbax folders', async () => {
    const folder = await temporaryFolder();
    const source = goldenPath('checkpoints/rg-tiny/flax-ocdbt-f32')!;
    const cases: Case[] = [];
    /** A copy of a good checkpoint, damaged. */
    const damaged = async (about: RegExp, damage: (copy: string) => Promise<void>, name = '') => {
      const copy = join(folder, `damaged-${cases.length}${name}`);
      await cp(source, copy, { recursive: true });
      await damage(copy);
      cases.push([copy, about]);
    };
    /** A folder that holds this and no more. */
    const made = async (about: RegExp, make: (empty: string) => Promise<void>) => {
      const empty = join(folder, `made-${cases.length}`);
      await mkdir(empty);
      await make(empty);
      cases.push([empty, about]);
    };
    const patch = async (file: string, at: number, ...bytes: number[]) => {
      const content = await readFile(file);
      content.set(bytes, at);
      await writeFile(file, content);
    };
    const weights = async (copy: string) => {
      const data = join(copy, 'ocdbt.process_0/d');
      const files = await Promise.all(
        (await readdir(data)).map(
          async (name) => [join(data, name), await readFile(join(data, name))] as const,
        ),
      );
      return files.sort(([, a], [, b]) => b.length - a.length)[0]!;
    };

    await damaged(/manifest\.ocdbt/, (copy) => truncate(join(copy, 'manifest.ocdbt'), 60));
    await damaged(/manifest\.ocdbt/, (copy) => truncate(join(copy, 'manifest.ocdbt'), 0));
    await damaged(/checksum/, (copy) => patch(join(copy, 'manifest.ocdbt'), 30, 0xff));
    await damaged(/first bytes/, (copy) => patch(join(copy, 'manifest.ocdbt'), 0, 0x50, 0x4b));
    await damaged(/never finished/, (copy) => rm(join(copy, 'manifest.ocdbt')));
    await damaged(/never finished/, async () => {}, '.orbax-checkpoint-tmp-17');
    await damaged(/is missing/, async (copy) => rm((await weights(copy))[0]));
    await damaged(/bytes, but .* needs it/, async (copy) => truncate((await weights(copy))[0], 1000));
    await damaged(/_METADATA/, (copy) => writeFile(join(copy, '_METADATA'), '{"tree_metadata": '));
    await damaged(/array "|chunk|data file|node/, async (copy) => {
      const [file, bytes] = await weights(copy);
      await writeFile(file, bytes.fill(0x55));
    });
    await made(/leads out of the checkpoint/, (empty) =>
      writeFile(
        join(empty, 'manifest.ocdbt'),
        manifest(['../../etc/passwd'], { file: 0, offset: 0, length: 9 }, 0),
      ),
    );
    await made(/is missing/, (empty) =>
      writeDatabase(empty, leaf(['d/lost'], [['w/0.0', { file: 0, offset: 0, length: 5 }]])),
    );
    await made(/holds no checkpoint/, async () => {});
    assert.ok(cases.length > 10);
    await allRefused(cases);
  });

  it('a checkpoint of which one part is cut off, or missing', async () => {
    const folder = join(await temporaryFolder(), 'checkpoint');
    await cp(goldenPath('checkpoints/rg-tiny/hf-sharded-bf16')!, folder, { recursive: true });
    const shard = join(folder, 'model-00003-of-00004.safetensors');
    const bytes = await readFile(shard);
    await writeFile(shard, bytes.subarray(0, -10));
    await allRefused([[folder, /model-00003/]]);
    await rm(shard);
    await allRefused([[folder, /model-00003/]]);
  });

  it('what is found only when the model folder is begun leaves nothing half done', async () => {
    const folder = await huggingFaceFolder(({ tensors }) => {
      const [, dtype, shape, data] = tensors.get('model.embed_tokens.weight')!;
      tensors.set('lm_head.weight', ['lm_head.weight', dtype, shape, data.map((byte) => byte ^ 1)]);
    });
    await allRefused([[folder, /"lm_head\.weight" differs from "model\.embed_tokens\.weight"/]]);
  });

  it('of other families, whatever the layout', async () => {
    const folder = await temporaryFolder();
    const copy = async (golden: string) => {
      const path = join(folder, golden.replace('/', '-'));
      await cp(goldenPath(`checkpoints/${golden}`)!, path, { recursive: true });
      return path;
    };
    const gemma = await copy('gemma-mqa-tiny/torch-f32.ckpt');
    await truncate(gemma, 200_000);
    const orbax = await copy('gemma-mqa-tiny/flax-ocdbt-f32');
    await truncate(join(orbax, 'manifest.ocdbt'), 60);
    const mistral = await copy('mistral-tiny/hf-sharded-f32');
    await rm(join(mistral, 'model-00002-of-00004.safetensors'));
    const gemma2 = await changedGolden('gemma-mha-tiny/hf-f32', ({ config }) => {
      config.model_type = 'gemma2';
    });
    const mamba2 = await changedGolden('mamba-tiny/state-spaces-f32', ({ config }) => {
      config.ssm_cfg = { layer: 'Mamba2' };
    });
    const contradiction = await changedGolden('mamba-tiny/hf-f32', ({ config }) => {
      config.num_hidden_layers = 5;
    });
    await allRefused([
      [gemma, /damaged zip archive/, ['--model-config', goldenPath('configs/gemma-mqa-tiny.json')!]],
      [orbax, /manifest\.ocdbt/, []],
      [mistral, /model-00002-of-00004/, []],
      [gemma2, /model_type "gemma2"; only "gemma"/, []],
      [mamba2, /layer "Mamba2"; only "Mamba1"/, []],
      [contradiction, /num_hidden_layers is 5 in .* but 4 in the tensors' shapes/, []],
    ]);
  });

  it('that leaves something unsaid ends with 2, what is missing, and how to say it', async () => {
    const out = join(await temporaryFolder(), 'model');
    const checkpoint = goldenPath('checkpoints/gemma-mqa-tiny/torch-f32.ckpt')!;
    const { status, stdout, stderr } = await recgemma(['convert', checkpoint, '--out', out]);
    assert.deepEqual([status, stdout, existsSync(out)], [2, '', false], stderr);
    assert.match(
      stderr,
      /^error: The checkpoint does not say its num_attention_heads, num_key_value_heads, head_dim\.\nhint: .*--preset \(gemma-2b, .*--model-config FILE\.json.*\n$/,
    );
  });

  it('in plain words is one error, a hint where there is one, and no stack', async () => {
    const out = join(await temporaryFolder(), 'model');
    const path = fixture('safetensors/cut-off.safetensors');
    const plain = await recgemma(['convert', path, '--out', out]);
    assert.deepEqual([plain.status, plain.stdout], [3, '']);
    assert.match(plain.stderr, /^error: \S+cut-off\.safetensors .*\.\n(hint: .*\n)?$/);
    const debugged = await recgemma(['convert', path, '--out', out, '--debug']);
    assert.match(debugged.stderr, /\nInputError: .*\n {4}at /);
    for (const command of ['inspect', 'verify']) {
      const result = await recgemma([command, path]);
      assert.equal(result.status, 3, command);
      assert.match(result.stderr, /^error: [^\n]+\.\n(hint: .*\n)?$/m, command);
    }
  });
});
