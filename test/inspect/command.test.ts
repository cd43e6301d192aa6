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

  it('compares several, presets among them, in one table', async () => {
    const paths = ['preset:recurrentgemma-2b:int8', 'preset:gemma-2b:int4', checkpoint];
    const { code, stdout, stderr } = await recgemma(...paths, '--context', '2048,8192', '--batch', '3');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, /^MODEL +FAMILY +PARAMETERS +WEIGHTS +STATE AT 2048 +STATE AT 8192\n/);
    assert.match(
      stdout,
      /\npreset:recurrentgemma-2b:int8 +griffin +2682862080 +2\.6 GiB +26\.5 MiB +26\.5 MiB\n/,
    );
    assert.match(
      stdout,
      /\npreset:gemma-2b:int4 +transformer +2506172416 +1\.2 GiB +54\.8 MiB +219\.4 MiB\n/,
    );
    assert.match(stdout, /\n\S+hf-bf16 +griffin +115272 +225\.\d KiB /);
    assert.match(stdout, /\nSTATE is what 3 sequences of so many tokens take beside the weights\.\n$/);
  });

  it('gives several as a list with --json', async () => {
    const { stdout } = await recgemma('preset:mamba-130m', 'preset:gemma-2b:int8', '--json');
    const reports = JSON.parse(stdout) as InspectReport[];
    assert.deepEqual(
      reports.map(({ kind, format, family }) => [kind, format, family]),
      [
        ['preset', 'fp32', 'mamba'],
        ['preset', 'int8', 'transformer'],
      ],
    );
  });

  it('refuses presets that are none', async () => {
    for (const [reference, message] of [
      ['preset:gemma-3b', 'There is no preset "gemma-3b".'],
      ['preset:gemma-2b:int3', '"preset:gemma-2b:int3" is no preset with a precision.'],
      ['preset:gemma-2b:int8:more', '"preset:gemma-2b:int8:more" is no preset with a precision.'],
      ['preset:', 'There is no preset "".'],
    ] as const) {
      const { code, stdout, stderr } = await recgemma(reference);
      assert.deepEqual({ code, stdout }, { code: 2, stdout: '' });
      assert.ok(stderr.startsWith(`error: ${message}\n`), stderr);
    }
  });
});
