/** `recgemma convert` as built: every format, what it reports, what it refuses, and what it never leaves behind. */

import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fixture } from '../checkpoint/digests.js';
import { goldenOptions, goldenPath, loadGolden, temporaryFolder } from '../support/goldens.js';
import { textCheckpoint } from './models.js';
import { jsonLines, NOT_BUILT, recgemma } from './run.js';

const RG_TINY = goldenPath('checkpoints/rg-tiny/hf-bf16')!;
const FLAX = goldenPath('checkpoints/rg-tiny/flax-ocdbt-f32')!;
const CONFIG = goldenPath('configs/rg-tiny.json')!;

interface Manifest {
  readonly source: { readonly format: string; readonly layout: string };
  readonly config: Readonly<Record<string, unknown>>;
  readonly files: Readonly<Record<string, { readonly sha256: string }>>;
}

const manifestOf = async (folder: string) =>
  JSON.parse(await readFile(join(folder, 'recgemma.json'), 'utf8')) as Manifest;

/** Runs a conversion that must be refused, and checks that it left its folder empty. */
async function refused(status: number, message: RegExp, ...args: string[]): Promise<void> {
  const folder = await temporaryFolder();
  const result = await recgemma(['convert', ...args, '--out', join(folder, 'model')]);
  assert.deepEqual([result.status, result.stdout], [status, ''], result.stderr);
  assert.match(result.stderr, message);
  assert.match(result.stderr, /^error: /);
  assert.doesNotMatch(result.stderr, /\n {4}at /);
  assert.deepEqual(await readdir(folder), []);
}

/** The layout, and the golden whose weights they are, of every checkpoint among the fixtures. */
const CHECKPOINTS: readonly (readonly [path: string, format: string, layout: string, golden: string])[] = [
  ['rg-tiny/flax-ocdbt-f32', 'orbax', 'flax', 'rg-tiny'],
  ['rg-tiny/dmtorch-strided-f32.pt', 'torch', 'torch', 'rg-tiny'],
  ['rg-tiny/hf-bin-f32', 'torch', 'hf', 'rg-tiny'],
  ['rg-tiny/flax-manager-bf16', 'orbax', 'flax', 'rg-tiny-bf16'],
  ['rg-tiny/flax-ocdbt-zarr3-bf16', 'orbax', 'flax', 'rg-tiny-bf16'],
  ['rg-tiny/flax-release-bf16', 'orbax', 'flax', 'rg-tiny-bf16'],
  ['rg-tiny/flax-sharded-ocdbt-bf16', 'orbax', 'flax', 'rg-tiny-bf16'],
  ['rg-tiny/flax-v1-bf16', 'orbax', 'flax', 'rg-tiny-bf16'],
  ['rg-tiny/dmtorch-bf16.pt', 'torch', 'torch', 'rg-tiny-bf16'],
  ['rg-tiny/dmtorch-example-bf16.pt', 'torch', 'torch', 'rg-tiny-bf16'],
  ['rg-tiny/dmtorch-legacy-bf16.pt', 'torch', 'torch', 'rg-tiny-bf16'],
  ['rg-tiny/hf-bf16', 'safetensors', 'hf', 'rg-tiny-bf16'],
  ['rg-tiny/hf-sharded-bf16', 'safetensors', 'hf', 'rg-tiny-bf16'],
  ['hawk-tiny/dmtorch-f32.pt', 'torch', 'torch', 'hawk-tiny'],
];

describe('recgemma convert', { skip: NOT_BUILT, concurrency: 2 }, () => {
  it('converts every format, and the same weights are the same file', async () => {
    const folder = await temporaryFolder();
    const weights = new Map<string, { hash: string; model: string }>();
    const convertOne = async ([path, format, layout, golden]: (typeof CHECKPOINTS)[number]) => {
      const { checkpoint, modelConfig } = goldenOptions(path);
      const out = join(folder, path.replace('/', '-'));
      const config = modelConfig === undefined ? [] : ['--model-config', modelConfig];
      const result = await recgemma(['convert', checkpoint, '--out', out, '--json', '-q', ...config]);
      assert.deepEqual([result.status, result.stderr], [0, ''], path);
      const report = JSON.parse(result.stdout) as Record<string, unknown>;
      assert.deepEqual([report.format, report.layout, report.written], [format, layout, true], path);
      const { source, files } = await manifestOf(out);
      assert.deepEqual([source.format, source.layout], [format, layout], path);
      const hash = files['model.onnx.data']!.sha256;
      const first = weights.get(golden) ?? { hash, model: out };
      assert.equal(hash, first.hash, `${path} holds the weights of ${first.model}`);
      weights.set(golden, first);
    };
    for (let i = 0; i < CHECKPOINTS.length; i += 2) {
      await Promise.all(CHECKPOINTS.slice(i, i + 2).map(convertOne));
    }
    assert.deepEqual([...weights.keys()], ['rg-tiny', 'rg-tiny-bf16', 'hawk-tiny']);

    for (const [name, { model }] of weights) {
      const { tokens, greedy } = (await loadGolden(name)).prompts.at(-1)!;
      const ids = ['--prompt-ids', tokens.join(), '--ignore-eos', '-n', String(greedy.tokens.length)];
      const result = await recgemma(['sample', '-m', model, '-q', ...ids]);
      assert.deepEqual([result.status, result.stdout], [0, `${greedy.tokens.join(' ')}\n`], name);
    }
  });

  it('says in a sentence what it wrote', async () => {
    const out = join(await temporaryFolder(), 'model');
    const { status, stdout, stderr } = await recgemma(['convert', await textCheckpoint(), '--out', out]);
    assert.equal(status, 0);
    assert.match(
      stdout,
      /^Wrote \S+model: griffin, 0\.2 M parameters, from safetensors, \d.* KiB of weights in .*; 5\.8 KiB of state a sequence, whatever its length\.\n$/,
    );
    assert.match(stderr, /^(convert \d+ % .*\n)*$/); // only where it takes long
  });

  it('with --json reports exactly these fields', async () => {
    const out = join(await temporaryFolder(), 'model');
    const args = [FLAX, '--model-config', CONFIG, '--out', out, '--json', '--dry-run'];
    const { status, stdout } = await recgemma(['convert', ...args]);
    assert.equal(status, 0);
    const { config, seconds, warnings, ...report } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(report, {
      out,
      format: 'orbax',
      layout: 'flax',
      family: 'griffin',
      precision: 'fp32',
      parameters: 115_272,
      source_bytes: 461_088,
      weight_bytes: 461_088,
      state_bytes_per_sequence: 5888,
      state_bytes_per_token: 0,
      tokenizer: [],
      notes: [],
      written: false,
      quality: null,
    });
    assert.deepEqual(config, JSON.parse(await readFile(CONFIG, 'utf8')));
    assert.equal(typeof seconds, 'number');
    assert.match(String(warnings), /^No tokenizer was found/);
    assert.deepEqual(await readdir(join(out, '..')), []);
  });

  it('with --dry-run says what it would write, and writes nothing', async () => {
    const folder = await temporaryFolder();
    const { status, stdout } = await recgemma([
      ...['convert', RG_TINY, '--dry-run', '--out', join(folder, 'not/yet/there')],
    ]);
    assert.equal(status, 0);
    assert.match(stdout, /^Would write \S+there: griffin, /);
    assert.deepEqual(await readdir(folder), []);
  });

  it('replaces a model folder with --force only, and anything else never', async () => {
    const folder = await temporaryFolder();
    const out = join(folder, 'model');
    const convert = (...args: string[]) => recgemma(['convert', RG_TINY, '--out', out, '-q', ...args]);
    assert.equal((await convert()).status, 0);
    const before = await stat(join(out, 'recgemma.json'));

    const again = await convert();
    assert.equal(again.status, 2);
    assert.match(again.stderr, /^error: \S+model already exists\.\nhint: .*--force\.\n$/);
    assert.equal((await stat(join(out, 'recgemma.json'))).mtimeMs, before.mtimeMs);

    assert.equal((await convert('--force', '--attention-window', '7')).status, 0);
    assert.equal((await manifestOf(out)).config.attention_window_size, 7);

    const mine = join(folder, 'mine');
    await mkdir(mine);
    await writeFile(join(mine, 'notes.txt'), 'mine');
    const other = await recgemma(['convert', RG_TINY, '--out', mine, '--force']);
    assert.equal(other.status, 2);
    assert.match(other.stderr, /^error: \S+mine is not a model folder; --force only replaces/);
    assert.deepEqual(await readdir(mine), ['notes.txt']);
    assert.deepEqual((await readdir(folder)).sort(), ['mine', 'model']);
  });

  it('with --verify checks what it wrote', async () => {
    const out = join(await temporaryFolder(), 'model');
    const result = await recgemma(['convert', RG_TINY, '--out', out, '--verify']);
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stderr, /\nverify \S+model\n/);
    assert.match(result.stdout, /^Wrote /);
  });

  it('tells what fewer bits cost, in its text, its JSON, the manifest and inspect', async () => {
    const out = join(await temporaryFolder(), 'model');
    const griffin = fixture('factbook/griffin');
    const config = ['--model-config', join(griffin, 'model-config.json')];
    const convert = (...args: string[]) =>
      recgemma(['convert', griffin, ...config, '--out', out, '--precision', 'int8', '--force', ...args]);
    const told =
      /perplexity \+0\.\d\d %, KL divergence \d\.\de-4, greedy agreement 9\d\.\d % against fp32 over \d+ tokens/;

    const unmeasured = await convert('--no-verify');
    assert.deepEqual([unmeasured.status, unmeasured.stderr], [0, '']);
    assert.doesNotMatch(unmeasured.stdout, /Quality/);

    const measured = await convert();
    assert.equal(measured.status, 0, measured.stderr);
    assert.match(measured.stdout, new RegExp(`^Wrote .*\\nQuality: ${told.source}\\.\\n$`));
    assert.match(measured.stderr, /^measure \S+model against float32$/m);
    assert.match((await recgemma(['inspect', out])).stdout, new RegExp(`\\nquality +${told.source}\\n`));

    const verified = await convert('--verify', '--json');
    assert.equal(verified.status, 0, verified.stderr);
    const { quality } = JSON.parse(verified.stdout) as { quality: Record<string, unknown> };
    assert.deepEqual(Object.keys(quality), [
      'against',
      'tokens',
      'kl_divergence',
      'greedy_agreement',
      'perplexity_ratio',
    ]);
    const manifest = JSON.parse(await readFile(join(out, 'recgemma.json'), 'utf8')) as { quality: unknown };
    assert.deepEqual(manifest.quality, quality);
    assert.deepEqual(await readdir(join(out, '..')), ['model']);
  });

  it('with --logits all writes a form that is not run here', async () => {
    const out = join(await temporaryFolder(), 'model');
    assert.equal((await recgemma(['convert', RG_TINY, '--out', out, '--logits', 'all'])).status, 0);
    const { status, stderr } = await recgemma(['sample', '-m', out, '-q', '--prompt-ids', '2']);
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^error: \S+model was converted with --logits all, a form for other tools\.\nhint: /,
    );
  });

  it('takes a tokenizer from elsewhere, and refuses one that knows more ids than the model', async () => {
    const tokenizer = await textCheckpoint();
    const out = join(await temporaryFolder(), 'model');
    const { status } = await recgemma(['convert', tokenizer, '--out', out, '--tokenizer', tokenizer]);
    assert.equal(status, 0);
    assert.ok((await readdir(out)).includes('tokenizer.model'));
    await refused(3, /has 2048 ids, the model only 512/, RG_TINY, '--tokenizer', tokenizer);
    await refused(2, /--tokenizer must be a path that exists/, RG_TINY, '--tokenizer', '/no/such');
  });

  it('needs --out and a checkpoint', async () => {
    const without = await recgemma(['convert', RG_TINY]);
    assert.deepEqual(
      [without.status, without.stderr],
      [2, 'error: The flag --out is required.\nhint: See recgemma convert --help.\n'],
    );
    const nothing = await recgemma(['convert', '--out', 'x']);
    assert.deepEqual(
      [nothing.status, nothing.stderr.split('\n')[0]],
      [2, 'error: Missing argument: CHECKPOINT.'],
    );
    await refused(3, /^error: \/no\/such does not exist\.\nhint: /, '/no/such');
    await refused(3, /hint: .* write hf:google\/recurrentgemma-2b\.\n/, 'google/recurrentgemma-2b');
  });

  it('makes a model of random weights without a checkpoint, which takes and gives ids', async () => {
    const out = join(await temporaryFolder(), 'model');
    const random = ['convert', '--preset', 'griffin-tiny', '--random-weights', '5', '--out', out];
    const { status, stdout, stderr } = await recgemma(random);
    assert.deepEqual([status, stdout.split(':')[0]], [0, `Wrote ${out}`]);
    assert.match(stderr, /There is no tokenizer: the model folder takes and gives token ids only/);
    assert.equal((await manifestOf(out)).source.format, 'random');
    const sampled = await recgemma(['sample', '-m', out, '-q', '--prompt-ids', '2,3', '-n', '4', '-t', '0']);
    assert.match(sampled.stdout, /^(\d+ ){3}\d+\n$/);
  });

  it('takes either a checkpoint or random weights, and these need a preset and a seed', async () => {
    const random = ['--preset', 'griffin-tiny', '--random-weights'];
    await refused(2, /^error: Missing argument: CHECKPOINT\.\nhint: .*--random-weights/);
    await refused(2, /^error: CHECKPOINT and --random-weights cannot go together\./, RG_TINY, ...random, '1');
    await refused(2, /^error: Random weights need --preset/, '--random-weights', '1');
    await refused(2, /^error: --random-weights must be a whole number from 0 to/, ...random, '1.5');
    await refused(2, /^error: There is no preset "gemma"/, '--preset', 'gemma', '--random-weights', '1');
  });

  it('refuses a preset that the shapes contradict, naming both values', async () => {
    await refused(
      3,
      /width is 2560 in preset recurrentgemma-2b but 40 in the tensors' shapes/,
      ...[FLAX, '--preset', 'recurrentgemma-2b'],
    );
    await refused(2, /no preset "gemma"\.\nhint: Presets: recurrentgemma-2b, /, FLAX, '--preset', 'gemma');
  });

  it('asks for what a Flax checkpoint does not say, and shows how to say it', async () => {
    await refused(
      2,
      /does not say its .*attention_window_size.*\nhint: .*--preset .*--model-config FILE\.json, for example \{/,
      FLAX,
    );
  });

  it('refuses a --from that is not so', async () => {
    await refused(
      3,
      /of format orbax, not of torch, safetensors\.\nhint: Leave out/,
      FLAX,
      '--from',
      'torch',
    );
    await refused(3, /has the tensor names of layout hf, not torch/, RG_TINY, '--from', 'torch');
    await refused(2, /--from must be one of auto, flax, torch, hf, not "keras"/, RG_TINY, '--from', 'keras');
  });

  it('with --json gives an error as one line on stdout, and nothing on stderr', async () => {
    const result = await recgemma(['convert', FLAX, '--out', '/tmp/never', '--json']);
    assert.deepEqual([result.status, result.stderr], [2, '']);
    const [line, ...others] = jsonLines<{ error: Record<string, string> }>(result);
    assert.deepEqual(others, []);
    assert.equal(line!.error.code, 'usage');
    assert.match(line!.error.message!, /^The checkpoint does not say its /);
    assert.match(line!.error.hint!, /--model-config/);
  });
});
