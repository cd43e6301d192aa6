/** `npm run bench:runtime` on a small model: what it writes, that its figures agree with each other, and when it makes the model anew. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readModelFolder } from '../../src/manifest.js';
import { temporaryFolder } from '../support/goldens.js';
import { NOT_BUILT } from './run.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/bench/runtime.js', import.meta.url));

interface Report {
  readonly bandwidth_gbps: number;
  readonly results: readonly Readonly<Record<string, number>>[];
}

describe('bench:runtime', { skip: NOT_BUILT }, () => {
  /** Runs it with a cache of its own and as few steps as may be. */
  const bench = (cache: string, ...args: string[]) =>
    spawnSync(process.execPath, [SCRIPT, '--preset', 'griffin-tiny', '--seconds', '0', ...args], {
      encoding: 'utf8',
      env: { ...process.env, RECGEMMA_CACHE: cache },
    });

  it('measures decoding and prefill beside the bandwidth, and keeps the model until the code changes', async () => {
    const cache = await temporaryFolder();
    const file = join(cache, 'report.json');
    const cells = ['--precision', 'fp32', '--batch', '1,3', '--prefill', '40', '--context', '64'];
    const first = bench(cache, ...cells, '--json', file);
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stderr, /^Making .*griffin-tiny-fp32/m);
    assert.match(first.stdout, /fp32 +decode, batch 3 /);

    const report = JSON.parse(await readFile(file, 'utf8')) as Report;
    const folder = join(cache, 'bench');
    const model = join(folder, (await readdir(folder)).find((name) => !name.endsWith('.key'))!);
    const weights = (await stat(join(model, 'model.onnx.data'))).size;
    const { manifest } = await readModelFolder(model);
    // The window of griffin-tiny is 128 slots: half of each ring is read.
    const state = manifest.state.reduce(
      (sum, { kind, bytes_per_sequence: bytes }) => sum + (kind === 'ring' ? bytes / 2 : bytes),
      0,
    );
    assert.deepEqual(
      report.results.map(({ precision, test, batch, tokens }) => [precision, test, batch, tokens]),
      [
        ['fp32', 'decode', 1, 8],
        ['fp32', 'decode', 3, 24],
        ['fp32', 'prefill', 1, 40],
      ],
    );
    for (const [i, batch] of [1, 3].entries()) {
      const { bytes_per_step: bytes, tokens_per_second: rate, share_of_limit: share } = report.results[i]!;
      assert.equal(bytes, weights + batch * state);
      // Rounding of doubles.
      assert.ok(Math.abs(share! / ((bytes! * (rate! / batch)) / (report.bandwidth_gbps * 1e9)) - 1) < 1e-9);
    }
    for (const { rss_bytes: resident } of report.results)
      assert.ok(resident! > weights && resident! < 2 ** 31);

    const again = bench(cache, '--precision', 'fp32', '--batch', '2', '--prefill', '');
    assert.equal(again.status, 0, again.stderr);
    assert.doesNotMatch(again.stderr, /^Making /m);
    await writeFile(`${model}.key`, 'of other code');
    const stale = bench(cache, '--precision', 'fp32', '--batch', '', '--prefill', '');
    assert.match(stale.stderr, /^Making /m);
  });

  it('refuses what cannot be measured', async () => {
    const cache = await temporaryFolder();
    const none = bench(cache, '--batch', '1,0');
    assert.deepEqual(
      [none.status, none.stderr],
      [2, 'error: --batch takes whole numbers, 1 or more, with commas between; not "0".\n'],
    );
    const unknown = bench(cache, '--precision', 'int3');
    assert.notEqual(unknown.status, 0);
    assert.match(unknown.stderr, /--precision must be one of/);
  });
});
