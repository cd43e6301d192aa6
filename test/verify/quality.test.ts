/** What a precision costs is measured where it should be, kept in the manifest, and leaves nothing else behind. */

import assert from 'node:assert/strict';
import fs, { readdir, readFile, stat } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { convert } from '../../src/convert/convert.js';
import { InterruptedError, UnavailableError } from '../../src/errors.js';
import { readModelFolder } from '../../src/manifest.js';
import { measureQuality, planQuality } from '../../src/verify/quality.js';
import { verifyModel } from '../../src/verify/verify.js';
import { factbookModel, factbookOptions } from '../support/factbook.js';
import { goldenOptions, temporaryFolder } from '../support/goldens.js';
import { hollowCheckpoint } from '../support/hugging-face-folder.js';

describe('the quality of a conversion', { concurrency: 1 }, () => {
  it('is what a comparison with the float32 form gives, and is kept in the manifest', async () => {
    const options = await factbookOptions('griffin', { precision: 'int8' });
    await convert(options);
    const before = await readModelFolder(options.out);
    const { quality, checks } = await measureQuality(options);
    const after = await readModelFolder(options.out);
    assert.deepEqual(after.manifest, { ...before.manifest, quality });
    assert.equal(after.hash, before.hash);
    assert.deepEqual(await readdir(dirname(options.out)), [basename(options.out)]);
    assert.deepEqual(
      checks.filter(({ passed }) => !passed),
      [],
    );

    const { engine: exact } = await factbookModel('griffin');
    const report = await verifyModel(options.out, { against: exact.folder.path });
    assert.equal(report.passed, true);
    const worst = (name: string) => report.checks.find((check) => check.name === name)!.worst!;
    assert.equal(quality.against, 'fp32');
    assert.ok(quality.tokens > 300);
    assert.ok(quality.kl_divergence > 1e-5);
    // The same figures by another way; how many rows a product has does not matter, how they are split among threads does not either.
    assert.ok(Math.abs(worst('KL divergence') - quality.kl_divergence) < 1e-4);
    assert.ok(Math.abs(worst('greedy agreement') - (1 - quality.greedy_agreement)) < 0.01);
    assert.ok(Math.abs(worst('perplexity') - Math.abs(quality.perplexity_ratio - 1)) < 1e-3);
  });

  it('is measured on random tokens where there is no tokenizer', async () => {
    const out = join(await temporaryFolder(), 'model');
    const options = { ...goldenOptions('rg-tiny/hf-bf16'), precision: 'int4', out } as const;
    await convert(options);
    const { quality } = await measureQuality(options);
    assert.equal(quality.tokens, 128);
  });

  it('is left unmeasured when it is interrupted, and the model folder stays', async () => {
    const options = await factbookOptions('hawk', { precision: 'int4' });
    await convert(options);
    const manifest = await readFile(join(options.out, 'recgemma.json'));
    const stop = new AbortController();
    const onProgress = () => stop.abort(new InterruptedError());
    await assert.rejects(measureQuality({ ...options, onProgress, signal: stop.signal }), (error) => {
      assert.ok(error instanceof InterruptedError);
      assert.equal(error.message, `Interrupted. ${options.out} is written; its quality was not measured.`);
      return true;
    });
    assert.deepEqual(await readdir(dirname(options.out)), [basename(options.out)]);
    assert.deepEqual(await readFile(join(options.out, 'recgemma.json')), manifest);
  });
});

describe('whether it is measured', { concurrency: 1 }, () => {
  const no = { measures: false };
  const yes = { measures: true };

  it('depends on whether there is anything to measure, and on what is asked', async () => {
    const plan = async (storage: Parameters<typeof factbookOptions>[1], asked?: boolean) =>
      planQuality(await factbookOptions('griffin', storage), asked);
    for (const precision of ['fp16', 'int8', 'int4'] as const) {
      assert.deepEqual(await plan({ precision }), yes, precision);
      assert.deepEqual(await plan({ precision }, true), yes, precision);
      assert.deepEqual(await plan({ precision }, false), no, precision);
    }
    assert.deepEqual(await plan({}, true), no);
    assert.deepEqual(await plan({ keyValues: 'int8' }), yes);
    assert.deepEqual(await plan({ precision: 'int8', logits: 'all' }, true), no);
    const out = join(await temporaryFolder(), 'model');
    const random = { checkpoint: { randomSeed: 1 }, preset: 'griffin-tiny', precision: 'int8', out } as const;
    assert.deepEqual(await planQuality(random), no);
    assert.deepEqual(await planQuality(random, true), yes);
    assert.deepEqual(await planQuality({ ...random, dryRun: true }, true), no);
  });

  it('of a large model only when asked, and the note says how', async () => {
    const out = join(await temporaryFolder(), 'model');
    const options = { checkpoint: await hollowCheckpoint(14_000_000), precision: 'int4', out } as const;
    const { measures, note } = await planQuality(options);
    assert.equal(measures, false);
    assert.match(note!, /^The quality was not measured.* 2\.1 GiB .*--verify.*recgemma verify \S+ --against/);
    assert.equal(await stat(out).catch(() => undefined), undefined);
  });

  it('is refused or left where the disk has room for the model, but not for both forms', async () => {
    const real = fs.statfs;
    const options = await factbookOptions('griffin', { precision: 'int8' });
    const folder = dirname(options.out);
    // 1.9 MB of int8, and 6.5 MB of float32.
    Object.assign(fs, { statfs: async () => ({ bavail: 6e6, bsize: 1 }) });
    syncBuiltinESMExports();
    try {
      const message = /The model with its float32 form, to measure it by, needs 8\.\d MiB, /;
      await assert.rejects(planQuality(options, true), (error) => {
        assert.ok(error instanceof UnavailableError, String(error));
        assert.match(error.message, message);
        return true;
      });
      const { measures, note } = await planQuality(options);
      assert.equal(measures, false);
      assert.match(note!, /^The quality was not measured: /);
      assert.match(note!, message);
    } finally {
      fs.statfs = real;
      syncBuiltinESMExports();
    }
    assert.deepEqual(await readdir(folder), []);
  });
});
