/** `recgemma verify` as built: what it prints, and how it ends. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { appendFile, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CheckError } from '../../src/errors.js';
import type { VerifyReport } from '../../src/verify/report.js';
import { ROOT, run } from '../cli/run-process.js';
import { convertGolden, goldenPath, temporaryFolder } from '../support/goldens.js';

const skip = !existsSync(join(ROOT, 'dist/cli.js')) && 'not built: npm run build';
const recgemma = (...args: string[]) => run(['bin/run.js', 'verify', ...args]);
const CHECK_FAILED = new CheckError('').exitCode;

describe('recgemma verify', { skip, concurrency: 1 }, () => {
  const against = goldenPath('expected/rg-tiny.json')!;

  it('ends with 0, and its last line says how many checks passed', async () => {
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32');
    const { code, stdout, stderr } = await recgemma(folder, '--against', against, '--threads', '1');
    assert.equal(code, 0);
    assert.match(stdout, /^CHECK +RESULT +WORST +ALLOWED +DETAIL\nfiles +passed/);
    assert.match(stdout, /\nlogits +passed +\d\.\de-\d +5\.0e-4 /);
    assert.ok(stdout.endsWith(`\nRESULT passed: 16 of 16 checks of ${folder} passed\n`), stdout);
    assert.equal(stderr, `verify ${folder}\n`);
  });

  it('ends with 4 after the whole report where a check fails', async () => {
    assert.equal(CHECK_FAILED, 4);
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32', { attentionWindow: 15 });
    const { code, stdout, stderr } = await recgemma(folder, '--against', against, '--quiet');
    assert.deepEqual({ code, stderr }, { code: CHECK_FAILED, stderr: '' });
    assert.match(stdout, /\nlogits +FAILED /);
    assert.match(stdout, /\nRESULT FAILED: \d+ of 16 checks of .* passed\n$/);
  });

  it('with --json writes the report and nothing else, whichever way it ends', async () => {
    const good = await convertGolden('rg-tiny/flax-ocdbt-f32');
    const bad = join(await temporaryFolder(), 'bad');
    await cp(good, bad, { recursive: true });
    await appendFile(join(bad, 'model.onnx.data'), 'x');
    for (const [folder, passed] of [
      [good, true],
      [bad, false],
    ] as const) {
      const { code, stdout } = await recgemma(folder, '--json', '--threads', '1');
      const report = JSON.parse(stdout) as VerifyReport;
      assert.equal(code, passed ? 0 : CHECK_FAILED);
      assert.deepEqual(Object.keys(report), ['model', 'against', 'passed', 'checks']);
      assert.deepEqual([report.model, report.passed], [folder, passed]);
      assert.deepEqual(Object.keys(report.checks[0]!), ['name', 'passed', 'worst', 'tolerance', 'detail']);
      assert.equal(
        report.checks.every((check) => check.passed),
        passed,
      );
    }
  });

  it('ends with 3 for what is no model folder, and with 2 for flags that make no sense', async () => {
    const folder = await convertGolden('rg-tiny/flax-ocdbt-f32');
    const none = await recgemma(goldenPath('expected')!);
    assert.equal(none.code, 3);
    assert.match(none.stderr, /is not a model folder/);
    assert.equal((await recgemma(folder, '--against', join(folder, 'config.json'))).code, 3);
    for (const args of [[], [folder, '--tolerance', '1'], [folder, '--against', 'no/such/path']]) {
      assert.equal((await recgemma(...args)).code, 2, args.join(' '));
    }
  });
});
