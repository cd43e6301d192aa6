/** Ctrl-C, SIGTERM and `| head`: how a command stops before its end. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { type Finished, finish, start, TINY } from './run-process.js';

/** Runs the tiny command and, once it has begun to write, sends the signal. */
async function interrupt(ending: string, signal: NodeJS.Signals, ...flags: string[]): Promise<Finished> {
  const child = start([...TINY, ending, ...flags]);
  const finished = finish(child);
  await once(child.stdout, 'data');
  child.kill(signal);
  return finished;
}

describe('a signal', { skip: process.platform === 'win32' && 'needs POSIX signals', concurrency: 2 }, () => {
  for (const [ending, message] of [
    ['returns', 'Interrupted.\n'],
    ['stops-by-signal', 'Interrupted.\n'],
    ['stops-with-message', 'Interrupted. The first lines were kept.\n'],
    ['stops-with-error', 'Interrupted.\n'],
  ] as const) {
    it(`ends a command that ${ending} with 130`, async () => {
      const { code, stderr } = await interrupt(ending, 'SIGINT');
      assert.deepEqual({ code, stderr }, { code: 130, stderr: message });
    });
  }

  it('may be SIGTERM', async () => {
    const { code, stderr } = await interrupt('stops-by-signal', 'SIGTERM');
    assert.deepEqual({ code, stderr }, { code: 130, stderr: 'Interrupted.\n' });
  });

  it('is an error in JSON, which as one line may end JSON Lines', async () => {
    const { code, stdout } = await interrupt('stops-with-message', 'SIGINT', '--json');
    assert.equal(code, 130);
    assert.deepEqual(JSON.parse(stdout.trimEnd().split('\n').at(-1)!), {
      error: { code: 'interrupted', message: 'Interrupted. The first lines were kept.' },
    });
  });

  it('is acknowledged by a command that goes on, and ends it at the second time', async () => {
    const child = start([...TINY, 'deaf']);
    const finished = finish(child);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    await once(child.stderr, 'data');
    assert.equal(child.exitCode, null);
    child.kill('SIGINT');
    const { code, stderr } = await finished;
    assert.equal(code, 130);
    assert.match(stderr, /^Stopping\..*Ctrl-C/);
  });
});

describe('a reader that goes away', { concurrency: 2 }, () => {
  for (const ending of ['returns', 'stops-by-signal', 'stops-with-message', 'stops-with-error']) {
    it(`stops a command that ${ending}, quietly and with 0`, async () => {
      const child = start([...TINY, ending]);
      const finished = finish(child);
      await once(child.stdout, 'data');
      child.stdout.destroy();
      const { code, stderr } = await finished;
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    });
  }
});
