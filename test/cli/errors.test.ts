/** How a command ends when something goes wrong: exit code, message, JSON, stack. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { run, TINY } from './run-process.js';

const tiny = (...args: string[]) => run([...TINY, ...args]);

describe('exit codes', { concurrency: 2 }, () => {
  for (const [ending, code, name] of [
    ['bug', 1, 'failed'],
    ['bug-elsewhere', 1, 'failed'],
    ['thrown', 1, 'failed'],
    ['usage', 2, 'usage'],
    ['input', 3, 'input'],
    ['foreign', 3, 'input'],
    ['missing', 3, 'input'],
    ['check', 4, 'check'],
    ['unavailable', 5, 'unavailable'],
  ] as const) {
    it(`${ending} ends with ${code}, and with the same in JSON`, async () => {
      const [plain, json] = await Promise.all([tiny(ending), tiny(ending, '--json')]);
      assert.equal(plain.code, code);
      assert.equal(plain.stdout, '');
      assert.match(plain.stderr, /^error: \S/);
      assert.equal(json.code, code);
      assert.equal(json.stderr, '');
      const { error } = JSON.parse(json.stdout) as { error: { code: string; message: string } };
      assert.equal(error.code, name);
      assert.ok(plain.stderr.startsWith(`error: ${error.message}`), 'both carry the same message');
    });
  }
});

describe('an error', { concurrency: 2 }, () => {
  it('of another copy of the library is known by its shape', async () => {
    const { stdout } = await tiny('foreign', '--json');
    assert.deepEqual(JSON.parse(stdout), {
      error: {
        code: 'input',
        message: 'x.bin is not a checkpoint.',
        hint: 'Convert it first.',
        details: { file: 'x.bin' },
      },
    });
  });

  it('is never wrapped, neither its message nor its hint', async () => {
    const { stderr } = await tiny('input');
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines.length, 2);
    assert.ok(lines[0]!.length > 160 && lines[1]!.length > 140);
  });

  it('that nobody foresaw says that it is a bug, without a stack', async () => {
    const { stderr } = await tiny('bug');
    assert.match(stderr, /^error: This is a bug in recgemma: TypeError: Cannot read/);
    assert.match(stderr, /--debug/);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });

  it('shows its stack with --debug or RECGEMMA_DEBUG=1, on stderr even with --json', async () => {
    const [flag, variable, json] = await Promise.all([
      tiny('bug', '--debug'),
      run([...TINY, 'bug'], { RECGEMMA_DEBUG: '1' }),
      tiny('bug', '--debug', '--json'),
    ]);
    for (const { stderr } of [flag, variable, json]) assert.match(stderr, /\n\s+at .*tiny-command\.ts/);
    assert.equal((JSON.parse(json.stdout) as { error: { code: string } }).error.code, 'failed');
  });

  it('of the file system names the path', async () => {
    const { stderr } = await tiny('missing');
    assert.equal(stderr, 'error: There is no such file or folder: /nonexistent/file\n');
  });

  it('is JSON by RECGEMMA_JSON=1 too', async () => {
    const { code, stdout } = await run([...TINY, 'check'], { RECGEMMA_JSON: '1' });
    assert.equal(code, 4);
    assert.deepEqual(JSON.parse(stdout), {
      error: { code: 'check', message: 'The difference is too large.' },
    });
  });

  it('is not JSON where --json is an argument after --', async () => {
    const { code, stdout, stderr } = await tiny('--', 'check', '--json');
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' });
    assert.match(stderr, /Unexpected argument: --json/);
  });
});

it('a full disk under stdout is reported once', {
  skip: process.platform !== 'linux' && 'needs /dev/full',
}, async () => {
  const { spawnSync } = await import('node:child_process');
  const { openSync, closeSync } = await import('node:fs');
  const full = openSync('/dev/full', 'w');
  const { status, stderr } = spawnSync(process.execPath, [...TINY, 'returns'], {
    stdio: ['ignore', full, 'pipe'],
  });
  closeSync(full);
  assert.equal(status, 5);
  assert.match(String(stderr), /^error: The disk is full: ENOSPC[^\n]*\n$/);
});
