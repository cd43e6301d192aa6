/** Verification: right models pass against what the official implementations computed, and each kind of damage is found. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { convert } from '../../src/convert/convert.js';
import { InputError, InterruptedError, UsageError } from '../../src/errors.js';
import { MANIFEST_FILE, type Manifest } from '../../src/manifest.js';
import type { VerifyCheck, VerifyReport } from '../../src/verify/report.js';
import { PASSAGE, seededTokens } from '../../src/verify/texts.js';
import { type VerifyOptions, verifyModel } from '../../src/verify/verify.js';
import { logitsAt } from '../support/forwarding.js';
import {
  convertGolden,
  goldenEngine,
  goldenOptions,
  goldenPath,
  missing,
  temporaryFolder,
} from '../support/goldens.js';

const ONE_THREAD = { threads: 1 } as const;
const ALONE = [
  'files',
  'loads',
  'head',
  'chunks of 64',
  'chunks of 7',
  'token by token',
  'ragged batch',
  'saved state',
];
const REFERENCE = [
  'logits',
  'states',
  'greedy',
  'greedy: log probabilities',
  'greedy in a batch',
  'greedy in a batch: log probabilities',
  'log-likelihoods',
  'log-likelihoods: greedy',
];

function failed({ checks }: VerifyReport): string[] {
  return checks.filter((check) => !check.passed).map((check) => check.name);
}

function check({ checks }: VerifyReport, name: string): VerifyCheck {
  return checks.find((each) => each.name === name)!;
}

/** A copy of a converted golden, for a test to damage. */
async function copyOf(checkpoint: string): Promise<string> {
  const copy = join(await temporaryFolder(), 'copy');
  await cp(await convertGolden(checkpoint), copy, { recursive: true });
  return copy;
}

async function changeManifest(folder: string, change: (manifest: Manifest) => unknown): Promise<void> {
  const file = join(folder, MANIFEST_FILE);
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest;
  await writeFile(file, JSON.stringify(change(manifest)));
}

describe('against reference outputs', { concurrency: 1 }, () => {
  for (const [checkpoint, golden, checks] of [
    ['rg-tiny/flax-ocdbt-f32', 'rg-tiny', REFERENCE],
    ['rg-tiny/hf-bf16', 'rg-tiny-bf16', REFERENCE],
    ['hawk-tiny/dmtorch-f32.pt', 'hawk-tiny', REFERENCE],
    ['griffin-tiny/dmtorch-f32.pt', 'griffin-tiny', REFERENCE],
    ['mqa-tiny/flax-zarr-f32', 'mqa-tiny', REFERENCE.filter((name) => name !== 'states')],
  ] as const) {
    const skip = missing(`checkpoints/${checkpoint}`, `expected/${golden}.json`);
    it(`${checkpoint} passes every check`, { skip }, async () => {
      const against = goldenPath(`expected/${golden}.json`)!;
      const report = await verifyModel(await convertGolden(checkpoint), { ...ONE_THREAD, against });
      assert.deepEqual(failed(report), []);
      assert.equal(report.passed, true);
      assert.deepEqual(
        report.checks.map(({ name }) => name),
        [...ALONE, ...checks],
      );
      for (const { worst, tolerance } of report.checks)
        assert.ok(tolerance === null ? worst === null : worst! <= tolerance);
    });
  }

  it('finds a window that is one too short, and says so', async () => {
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32', { attentionWindow: 15 });
    const against = goldenPath('expected/rg-tiny.json')!;
    const report = await verifyModel(folder, { ...ONE_THREAD, against });
    assert.equal(report.passed, false);
    assert.deepEqual(
      failed(report).filter((name) => ALONE.includes(name)),
      [],
    );
    for (const name of ['logits', 'states', 'greedy']) assert.ok(failed(report).includes(name), name);
    assert.match(check(report, 'logits').detail, /attention_window_size is 15, the reference's 16/);
  });

  it('finds that bfloat16 weights are not float32 ones, unless so much is allowed', async () => {
    const against = goldenPath('expected/rg-tiny.json')!;
    const folder = await convertGolden('rg-tiny/hf-bf16');
    const strict = await verifyModel(folder, { ...ONE_THREAD, against });
    assert.equal(check(strict, 'logits').passed, false);
    const lax = await verifyModel(folder, { ...ONE_THREAD, against, tolerance: 10 });
    assert.equal(check(lax, 'logits').passed, true);
    assert.equal(check(lax, 'logits').worst, check(strict, 'logits').worst);
  });

  it("takes Hugging Face's form, which has no states, and finds its shorter window", async () => {
    const against = goldenPath('expected/rg-tiny.hf-window.json')!;
    const report = await verifyModel(await convertGolden('rg-tiny/flax-ocdbt-f32'), {
      ...ONE_THREAD,
      against,
    });
    assert.ok(failed(report).includes('logits'));
    assert.equal(check(report, 'states'), undefined);
  });
});

describe('a damaged model folder', { concurrency: 1 }, () => {
  for (const [damage, act, detail] of [
    [
      'a changed byte among the weights',
      async (folder: string) => {
        const file = join(folder, 'model.onnx.data');
        const bytes = await readFile(file);
        bytes[5000]! ^= 1;
        await writeFile(file, bytes);
      },
      /^model\.onnx\.data has been changed/,
    ],
    [
      'weights that were cut off',
      (folder: string) => truncate(join(folder, 'model.onnx.data'), 4096),
      /^model\.onnx\.data has 4096 bytes, not \d+$/,
    ],
    ['a missing graph', (folder: string) => rm(join(folder, 'model.onnx')), /^model\.onnx is missing$/],
    [
      'a manifest that names files elsewhere',
      (folder: string) =>
        changeManifest(folder, (manifest) => ({
          ...manifest,
          files: { ...manifest.files, '../x': manifest.files['model.onnx'] },
        })),
      /"\.\.\/x"/,
    ],
    [
      'a manifest that leaves the graph out',
      (folder: string) => changeManifest(folder, (manifest) => ({ ...manifest, files: {} })),
      /^the manifest has no model\.onnx$/,
    ],
  ] as const) {
    it(`${damage} fails the first check, and nothing is run`, async () => {
      const folder = await copyOf('rg-tiny/flax-ocdbt-f32');
      await act(folder);
      const report = await verifyModel(folder, ONE_THREAD);
      assert.equal(report.passed, false);
      assert.deepEqual(
        report.checks.map(({ name }) => name),
        ['files'],
      );
      assert.match(report.checks[0]!.detail, detail);
    });
  }

  it('with a graph that onnxruntime refuses does not load', async () => {
    const folder = await copyOf('rg-tiny/flax-ocdbt-f32');
    const graph = (await readFile(join(folder, 'model.onnx'))).subarray(0, 20_000);
    await writeFile(join(folder, 'model.onnx'), graph);
    const sha256 = createHash('sha256').update(graph).digest('hex');
    await changeManifest(folder, (manifest) => ({
      ...manifest,
      files: { ...manifest.files, 'model.onnx': { bytes: graph.byteLength, sha256 } },
    }));
    const report = await verifyModel(folder, ONE_THREAD);
    assert.deepEqual(failed(report), ['loads']);
  });

  it('whose states are mixed up does not agree with itself', async () => {
    const folder = await copyOf('rg-tiny/flax-ocdbt-f32');
    await changeManifest(folder, ({ state, ...manifest }) => {
      const [first, second] = state.filter(({ input }) => input.endsWith('recurrent_state'));
      const swapped = new Map([
        [first!.output, second!.output],
        [second!.output, first!.output],
      ]);
      return {
        ...manifest,
        state: state.map((each) => ({ ...each, output: swapped.get(each.output) ?? each.output })),
      };
    });
    const report = await verifyModel(folder, ONE_THREAD);
    assert.deepEqual(
      failed(report).filter((name) => name.includes('chunks') || name.includes('token')),
      ['chunks of 64', 'chunks of 7', 'token by token'],
    );
  });

  it('whose state does not fit the graph does not run', async () => {
    const folder = await copyOf('rg-tiny/flax-ocdbt-f32');
    await changeManifest(folder, ({ state, ...manifest }) => ({
      ...manifest,
      state: state.map((each) => (each.kind === 'carried' ? { ...each, shape: [7] } : each)),
    }));
    assert.deepEqual(failed(await verifyModel(folder, ONE_THREAD)), ['runs']);
  });
});

describe('against another model folder', { concurrency: 1 }, () => {
  it('a model equals itself', async () => {
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32');
    const report = await verifyModel(folder, { ...ONE_THREAD, against: folder });
    assert.equal(report.passed, true);
    const compared = ['log probabilities', 'KL divergence', 'greedy agreement', 'perplexity'];
    assert.deepEqual(
      report.checks.map(({ name }) => name),
      [...ALONE, ...compared],
    );
    for (const name of compared) assert.equal(check(report, name).worst, 0);
  });

  it('differences are those that a plain computation gives', async () => {
    const [rounded, exact] = ['rg-tiny/hf-bf16', 'rg-tiny/flax-ocdbt-f32'] as const;
    const report = await verifyModel(await convertGolden(rounded), {
      ...ONE_THREAD,
      against: await convertGolden(exact),
    });
    const tokens = seededTokens(512, 128);
    const positions = [...tokens.keys()];
    const mine = (await logitsAt(await goldenEngine(rounded), tokens, positions)).map(logProbs);
    const theirs = (await logitsAt(await goldenEngine(exact), tokens, positions)).map(logProbs);
    let [largest, kl, disagreements, logRatio] = [0, 0, 0, 0];
    for (const [i, row] of mine.entries()) {
      const other = theirs[i]!;
      if (i < 127) logRatio += (other[tokens[i + 1]!]! - row[tokens[i + 1]!]!) / 127;
      largest = Math.max(largest, ...row.map((value, id) => Math.abs(value - other[id]!)));
      kl += other.reduce((sum, value, id) => sum + Math.exp(value) * (value - row[id]!), 0) / mine.length;
      if (row.indexOf(Math.max(...row)) !== other.indexOf(Math.max(...other))) disagreements++;
    }
    assert.ok(largest > 1e-2 && kl > 1e-5, 'bfloat16 makes a difference that can be measured');
    near(check(report, 'log probabilities').worst!, largest, 1e-3);
    near(check(report, 'KL divergence').worst!, kl, 1e-2);
    near(check(report, 'greedy agreement').worst!, disagreements / 128, 1e-12);
    near(check(report, 'perplexity').worst!, Math.abs(Math.exp(logRatio) - 1), 1e-2);
    assert.ok(failed(report).includes('log probabilities'));
  });

  it('reads a passage where both have a tokenizer, which must agree', async () => {
    const tokenizer = fileURLToPath(new URL('../../fixtures/tokenizer/words.model', import.meta.url));
    const folder = join(await temporaryFolder(), 'with-tokenizer');
    const files = await temporaryFolder();
    await cp(tokenizer, join(files, 'tokenizer.model'));
    await convert({ ...goldenOptions('rg-tiny/flax-ocdbt-f32'), tokenizer: files, out: folder });
    const report = await verifyModel(folder, { ...ONE_THREAD, against: folder });
    assert.equal(report.passed, true);
    const count = Number(/^(\d+) tokens of a passage/.exec(check(report, 'tokenizer').detail)?.[1]);
    assert.ok(count > 50 && count < PASSAGE.length);
    assert.match(check(report, 'KL divergence').detail, new RegExp(`over ${count} positions of the passage`));
  });

  it('refuses another vocabulary', async () => {
    const other = await copyOf('rg-tiny/flax-ocdbt-f32');
    await changeManifest(other, (manifest) => ({ ...manifest, vocab_size: 500 }));
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32');
    await assert.rejects(verifyModel(folder, { ...ONE_THREAD, against: other }), (error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, /512 tokens .* 500: they cannot be compared/);
      return true;
    });
  });
});

describe('the run itself', { concurrency: 1 }, () => {
  it('tells of every check as it is decided', async () => {
    const seen: VerifyCheck[] = [];
    const options: VerifyOptions = { ...ONE_THREAD, onCheck: (each) => seen.push(each) };
    const report = await verifyModel(await convertGolden('rg-tiny/flax-ocdbt-f32'), options);
    assert.deepEqual(seen, report.checks);
    assert.equal(report.against, null);
  });

  it('stops at a signal', async () => {
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32');
    for (const stopAt of ['files', 'loads', 'head', 'chunks of 7']) {
      const stop = new AbortController();
      const onCheck = ({ name }: VerifyCheck) => {
        if (name === stopAt) stop.abort(new InterruptedError());
      };
      const run = verifyModel(folder, { ...ONE_THREAD, onCheck, signal: stop.signal });
      await assert.rejects(run, InterruptedError, stopAt);
    }
  });

  it('checks only the files of a model in the form for other tools', async () => {
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32', { logits: 'all' });
    const report = await verifyModel(folder, ONE_THREAD);
    assert.deepEqual(
      report.checks.map(({ name, passed }) => [name, passed]),
      [
        ['files', true],
        ['form', true],
      ],
    );
  });

  it('refuses what is neither a model folder nor reference outputs', async () => {
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32');
    await assert.rejects(verifyModel(goldenPath('expected')!), InputError);
    await assert.rejects(verifyModel(folder, { against: goldenPath('expected')! }), InputError);
    await assert.rejects(verifyModel(folder, { against: join(folder, 'nothing.json') }), InputError);
    await assert.rejects(verifyModel(folder, { against: join(folder, 'model.onnx') }), UsageError);
    await assert.rejects(
      verifyModel(folder, { against: join(folder, 'config.json') }),
      /no reference outputs/,
    );
  });
});

/** Log probabilities in double precision. */
function logProbs(logits: Float32Array): number[] {
  const values = Array.from(logits);
  const sum = Math.log(values.reduce((total, value) => total + Math.exp(value), 0));
  return values.map((value) => value - sum);
}

function near(actual: number, expected: number, relative: number): void {
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${actual} is not ${expected}`);
}
