/** Ctrl-C, SIGTERM, and a reader that leaves: work stops at once, says what it kept, and leaves nothing half done. */

import assert from 'node:assert/strict';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fixture } from '../checkpoint/digests.js';
import { goldenPath, temporaryFolder } from '../support/goldens.js';
import { hollowCheckpoint } from '../support/hugging-face-folder.js';
import { idsModel, textModel } from './models.js';
import { finish, jsonLines, NOT_BUILT, recgemma, start, until, wasInterrupted } from './run.js';

const RG_TINY = goldenPath('checkpoints/rg-tiny/hf-bf16')!;

describe('an interrupted conversion', { skip: NOT_BUILT, concurrency: 1 }, () => {
  let checkpoint: string;
  before(async () => {
    // An embedding of 480 MB: it takes a while to convert.
    checkpoint = await hollowCheckpoint(3_000_000);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`by ${signal} leaves neither its folder nor a part of it`, async () => {
      const folder = await temporaryFolder();
      const out = join(folder, 'model');
      const child = start(['convert', checkpoint, '--out', out]);
      await until(child, async () => existsSync(join(`${out}.partial`, 'model.onnx.data')));
      child.kill(signal);
      const result = await finish(child);
      assert.ok(wasInterrupted(result), JSON.stringify(result));
      assert.match(result.stderr, /Interrupted\.\n$/);
      assert.deepEqual([result.stdout, await readdir(folder)], ['', []]);
    });
  }

  it('keeps the model folder that it was to replace', async () => {
    const out = join(await temporaryFolder(), 'model');
    assert.equal((await recgemma(['convert', RG_TINY, '--out', out, '-q'])).status, 0);
    const names = await readdir(out);
    const child = start(['convert', checkpoint, '--out', out, '--force', '--json']);
    await until(child, async () => existsSync(join(`${out}.partial`, 'model.onnx.data')));
    child.kill('SIGINT');
    const result = await finish(child);
    assert.ok(wasInterrupted(result), JSON.stringify(result));
    assert.equal(jsonLines<{ error: { code: string } }>(result)[0]!.error.code, 'interrupted');
    assert.deepEqual(await readdir(out), names);
    assert.deepEqual(await readdir(join(out, '..')), ['model']);
  });
});

describe('an interrupted measurement', { skip: NOT_BUILT }, () => {
  it('leaves the model folder, says so, and removes what it was compared with', async () => {
    const folder = await temporaryFolder();
    const out = join(folder, 'model');
    const griffin = fixture('factbook/griffin');
    const config = ['--model-config', join(griffin, 'model-config.json')];
    const child = start(['convert', griffin, ...config, '--out', out, '--precision', 'int4']);
    await until(child, async () => (await readdir(folder)).some((name) => name.startsWith('model.fp32-')));
    child.kill('SIGINT');
    const result = await finish(child);
    assert.ok(wasInterrupted(result), JSON.stringify(result));
    assert.match(result.stderr, /Interrupted\. \S+model is written; its quality was not measured\.\n$/);
    assert.deepEqual(await readdir(folder), ['model']);
    assert.equal((await recgemma(['verify', out, '-q'])).status, 0);
  });
});

describe('interrupted sampling', { skip: NOT_BUILT, concurrency: 2 }, () => {
  const ENDLESS = ['-n', '10000000', '--ignore-eos', '--threads', '1'];

  it('says that no text was finished', async () => {
    const child = start(['sample', '-m', await textModel(), 'On and', ...ENDLESS]);
    const result = await stopAtFirstOutput(child);
    assert.ok(wasInterrupted(result), JSON.stringify(result.stderr));
    assert.match(result.stderr, /Interrupted\. No text was finished\.\n$/);
    assert.match(result.stdout, /[^\n]\n$/);
  });

  it('says how many texts were finished, and all of those were written', async () => {
    const file = join(await temporaryFolder(), 'prompts.jsonl');
    await writeFile(file, '{"prompt_ids": [2, 7]}\n'.repeat(10_000));
    const args = ['sample', '-m', await idsModel(), '--prompts', file, '--json', '-b', '1', '-n', '9', '-q'];
    const result = await stopAtFirstOutput(start(args));
    assert.ok(wasInterrupted(result), JSON.stringify(result.stderr));
    const lines = jsonLines<{ index: number; error?: { code: string; message: string } }>(result);
    const { code, message } = lines.pop()!.error!;
    assert.equal(code, 'interrupted');
    assert.match(message, new RegExp(`^Interrupted\\. ${lines.length} finished texts? w\\w+ written\\.$`));
    assert.deepEqual(
      lines.map(({ index }) => index),
      lines.map((_, i) => i),
    );
  });

  it('writes no scores to --output', async () => {
    const folder = await temporaryFolder();
    const input = join(folder, 'pairs.jsonl');
    await writeFile(input, '{"context_ids": [2, 7], "continuation_ids": [3, 4, 5]}\n'.repeat(200_000));
    const output = join(folder, 'scores.jsonl');
    const child = start(['score', '-m', await idsModel(), '--input', input, '--output', output]);
    await until(child, async () => (await readdir(folder)).length > 1);
    child.kill('SIGINT');
    const result = await finish(child);
    assert.ok(wasInterrupted(result), JSON.stringify(result));
    assert.match(result.stderr, /Interrupted\. \S+scores\.jsonl was not written\.\n$/);
    assert.deepEqual(await readdir(folder), ['pairs.jsonl']);
  });

  it('ends with 0 when the reader of stdout has gone', async () => {
    const child = start(['sample', '-m', await idsModel(), '--prompts', '-', '-n', '9', '-q', '--json']);
    child.stdin.on('error', () => {});
    child.stdin.end('{"prompt_ids": [2, 7]}\n'.repeat(10_000));
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [status, signal] = await once(child, 'exit');
    assert.deepEqual([status, signal, stderr], [0, null, '']);
  });
});

/** Sends Ctrl-C when a process has written something to stdout, and waits for its end. */
async function stopAtFirstOutput(child: ChildProcessWithoutNullStreams) {
  child.stdin.end();
  child.stdout.once('data', () => child.kill('SIGINT'));
  return finish(child);
}
