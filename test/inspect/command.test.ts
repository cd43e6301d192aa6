/** `recgemma inspect` as built: what it prints, and how it ends. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { InspectReport } from '../../src/inspect/report.js';
import { ROOT, run } from '../cli/run-process.js';
import { convertGolden, goldenPath } from '../support/goldens.js';

const skip = !existsSync(join(ROOT, 'dist/cli.js')) && 'not built: npm run build';
const recgemma = (...args: string[]) => run(['bin/run.js', 'inspect', ...args]);

describe('recgemma inspect', { skip, concurrency: 1 }, () => {
  const checkpoint = goldenPath('checkpoints/rg-tiny/hf-bf16')!;

  it('shows a checkpoint as tables', async () => {
    const { code, stdout, stderr } = await recgemma(checkpoint, '--context', '4,1000', '--batch', '2');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(
      stdout,
      /^CHECKPOINT +\S+hf-bf16\nformat +safetensors, .*\nfamily +griffin\nparameters +115,272\n/,
    );
    assert.match(stdout, /\nattention_window_size +16\n/);
    assert.match(stdout, /\nblock_types +8: recurrent, recurrent, attention, and so on\n/);
    assert.match(stdout, /\n6 x recurrent_state +carried +\[lru_width 40\] +960 B\n/);
    assert.match(
      stdout,
      /\nCONTEXT +SEQUENCES +STATE +TRANSFORMER +RATIO\n +4 +2 +8\.5 KiB +4\.0 KiB +0\.5 x\n/,
    );
    assert.match(stdout, /\n +1000 +2 +11\.5 KiB +1000\.0 KiB +87\.0 x\n/);
  });

  it('lists the tensors of a model folder in natural order', async () => {
    const folder = await convertGolden('rg-tiny/hf-bf16');
    const { code, stdout } = await recgemma(folder, '--tensors');
    assert.equal(code, 0);
    assert.match(stdout, /^MODEL +.*\nmade from +safetensors/);
    assert.match(stdout, /\nTENSOR +DTYPE +SHAPE +BYTES\n.*float32 /);
  });

  it('with --json writes every number', async () => {
    const { code, stdout } = await recgemma(checkpoint, '--json', '--context', '1000');
    assert.equal(code, 0);
    const report = JSON.parse(stdout) as InspectReport;
    assert.deepEqual(report.state?.sizes, [
      { context: 1000, batch: 1, state_bytes: 5888, transformer_bytes: 512_000, ratio: 512_000 / 5888 },
    ]);
    assert.equal(report.tensors, undefined);
  });

  it('warns of what a checkpoint does not say, and still ends well', async () => {
    const flax = goldenPath('checkpoints/rg-tiny/flax-ocdbt-f32')!;
    const { code, stdout, stderr } = await recgemma(flax);
    assert.equal(code, 0);
    assert.match(stdout, /\nlogits_soft_cap +not known\n/);
    assert.match(stderr, /^warning: The checkpoint does not say its .*--preset/);
  });

  it('ends with 3 for what is no checkpoint, and with 2 for flags that make no sense', async () => {
    assert.equal((await recgemma('no/such/folder')).code, 3);
    assert.equal((await recgemma(checkpoint, '--preset', 'recurrentgemma-2b')).code, 3);
    for (const args of [[], [checkpoint, '--context', '0'], [checkpoint, '--preset', 'x']]) {
      assert.equal((await recgemma(...args)).code, 2, args.join(' '));
    }
  });
});
