/** Values of flags: what they become, what they do not take, and where they come from. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { run, TINY } from './run-process.js';

type Env = NodeJS.ProcessEnv;

/** The flags that the command saw. */
async function parsed(args: readonly string[], env: Env = {}): Promise<Record<string, unknown>> {
  const { stdout } = await run([...TINY, 'flags', '--json', ...args], env);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** The message of the usage error that `args` give. */
async function refused(args: readonly string[], env: Env = {}): Promise<string> {
  const { code, stdout } = await run([...TINY, 'flags', '--json', ...args], env);
  assert.equal(code, 2);
  const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
  assert.equal(error.code, 'usage');
  return error.message;
}

describe('flags', { concurrency: 2 }, () => {
  it('have defaults', async () => {
    assert.deepEqual(await parsed([]), { json: true, device: 'cpu' });
  });

  it('become numbers, sizes, paths', async () => {
    const args =
      '-b 8 --seed 42 --threads=2 --scale .5 --top-p 0.9 --temperature 0 --memory 1.5GiB --input .';
    assert.deepEqual(await parsed(args.split(' ')), {
      json: true,
      batch: 8,
      device: 'cpu',
      seed: 42,
      threads: 2,
      scale: 0.5,
      'top-p': 0.9,
      temperature: 0,
      memory: 1610612736,
      input: '.',
    });
  });

  it('come from RECGEMMA_ variables, which the command line overrides', async () => {
    const env = {
      RECGEMMA_BATCH: '4',
      RECGEMMA_MAX_TOKENS: '16',
      RECGEMMA_ECHO: 'true',
      RECGEMMA_DEVICE: 'cuda',
    };
    const fromBoth = await parsed(['--batch', '2'], env);
    assert.deepEqual(fromBoth, { json: true, batch: 2, device: 'cuda', 'max-tokens': 16, echo: true });
  });

  it('take sizes in binary and decimal units', async () => {
    for (const [text, bytes] of [
      ['4096', 4096],
      ['512MiB', 2 ** 29],
      ['2G', 2 ** 31],
      ['1kb', 1000],
    ] as const) {
      assert.equal((await parsed(['--memory', text])).memory, bytes);
    }
  });
});

describe('a value that does not fit is refused, naming flag and value', { concurrency: 2 }, () => {
  for (const [args, message] of [
    ['--batch 0', '--batch must be a whole number from 1 to 4096, not "0".'],
    ['--batch 2.5', '--batch must be a whole number from 1 to 4096, not "2.5".'],
    ['--seed 1e3', '--seed must be a whole number from 0 to 9007199254740991, not "1e3".'],
    [
      '--seed 9007199254740993',
      '--seed must be a whole number from 0 to 9007199254740991, not "9007199254740993".',
    ],
    ['--max-tokens -1', '--max-tokens must be a whole number, 1 or more, not "-1".'],
    ['--below 10', '--below must be a whole number, 9 or less, not "10".'],
    ['--scale abc', '--scale must be a number, 0.5 or more, not "abc".'],
    ['--scale Infinity', '--scale must be a number, 0.5 or more, not "Infinity".'],
    ['--top-p 1.5', '--top-p must be a probability from 0 to 1, not "1.5".'],
    [
      '--temperature=-1',
      '--temperature must be a temperature: 0 (always the likeliest token) or more, not "-1".',
    ],
    ['--memory 5XB', '--memory must be a size such as 4096, 512MiB or 2GiB, not "5XB".'],
    ['--memory 99999999GiB', '--memory must be a size such as 4096, 512MiB or 2GiB, not "99999999GiB".'],
    ['--input /nonexistent', '--input must be a path that exists, not "/nonexistent".'],
    ['--output /dev/null', '--output must be a file in a folder that exists, not "/dev/null".'],
    ['--output .', '--output must be a file in a folder that exists, not ".".'],
    ['--device gpu', '--device must be one of cpu, webgpu, cuda, not "gpu".'],
    ['--batch', '--batch expects a value.'],
    ['-b 2 -b 3', '--batch can only be specified once.'],
  ] as const) {
    it(args, async () => assert.equal(await refused(args.split(' ')), message));
  }

  it('from the environment too', async () => {
    const message = await refused([], { RECGEMMA_THREADS: 'many' });
    assert.equal(message, '--threads must be a whole number from 1 to 1024, not "many".');
  });

  it('and so are flags that exclude each other', async () => {
    assert.match(await refused(['--chat', '--echo']), /^--\w+ and --\w+ cannot go together\.$/);
  });
});
