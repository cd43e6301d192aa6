/** The built command line: help, version, commands that do not exist, devices. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { COMMANDS } from '../../src/cli/main.js';
import { ROOT, run } from './run-process.js';

const skip = !existsSync(join(ROOT, 'dist/cli.js')) && 'not built: npm run build';
const recgemma = (...args: string[]) => run(['bin/run.js', ...args]);

/** Parses `{"error": …}`. */
function errorOf(stdout: string) {
  type Reported = { code: string; message: string; hint?: string; details?: Record<string, unknown> };
  return (JSON.parse(stdout) as { error: Reported }).error;
}

describe('help', { skip, concurrency: 2 }, () => {
  it('lists every command with its summary, in the order of the table', async () => {
    const { code, stdout, stderr } = await recgemma('--help');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    const listed = /COMMANDS\n((?: {2}.*\n)+)/.exec(stdout)?.[1] ?? '';
    const names = [...listed.matchAll(/^ {2}(\S+) {2,}\S/gm)].map((match) => match[1]);
    assert.deepEqual(names, Object.keys(COMMANDS));
  });

  it('is what a bare recgemma, -h and help print', async () => {
    const [help, ...others] = await Promise.all(
      [['--help'], [], ['-h'], ['help'], ['--json']].map((args) => recgemma(...args)),
    );
    for (const other of others) assert.deepEqual(other, help);
  });

  it('of a command shows its flags, and no wish for variables', async () => {
    const pages = await Promise.all(
      [
        ['devices', '--help'],
        ['help', 'devices'],
      ].map((args) => recgemma(...args)),
    );
    for (const { code, stdout } of pages) {
      assert.equal(code, 0);
      assert.match(stdout, /USAGE\n {2}\$ recgemma devices/);
      assert.match(stdout, /GLOBAL FLAGS\n {6}--json {2,}\S.*\n {2}-q, --quiet/);
      assert.match(stdout, /--\[no-\]color/);
      assert.doesNotMatch(stdout, /env:/);
    }
  });

  it('is not loaded from sources when NODE_ENV is test', async () => {
    const { code, stderr } = await run(['bin/run.js', '--help'], { NODE_ENV: 'test' });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  });
});

it('--version prints the package’s version', { skip }, async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const { code, stdout } = await recgemma('--version');
  assert.equal(code, 0);
  assert.ok(stdout.startsWith(`recgemma/${version} `));
});

describe('wrong usage', { skip, concurrency: 2 }, () => {
  it('of an unknown command suggests the nearest', async () => {
    const { code, stdout, stderr } = await recgemma('devcies');
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' });
    assert.match(stderr, /^error: There is no command "devcies"\.\nhint: Did you mean recgemma devices\?/);
  });

  it('of an unknown command is an error in JSON, wherever --json stands', async () => {
    for (const args of [
      ['devcies', '--json'],
      ['--json', 'devcies'],
    ]) {
      const { code, stdout } = await recgemma(...args);
      assert.equal(code, 2);
      const { details, ...error } = errorOf(stdout);
      assert.deepEqual(
        { ...error, suggestion: details?.suggestion },
        {
          code: 'usage',
          message: 'There is no command "devcies".',
          hint: 'Did you mean recgemma devices? See recgemma --help.',
          suggestion: 'devices',
        },
      );
    }
  });

  it('of an unknown command with --help is an error still', async () => {
    assert.equal((await recgemma('frobnicate', '--help')).code, 2);
  });

  it('of an inherited name is no command', async () => {
    const { code, stderr } = await recgemma('constructor');
    assert.equal(code, 2);
    assert.match(stderr, /There is no command "constructor"/);
  });

  it('of an unknown flag suggests the nearest', async () => {
    const [plain, json] = await Promise.all([
      recgemma('devices', '--quite'),
      recgemma('devices', '--quite', '--json'),
    ]);
    assert.equal(plain.code, 2);
    assert.match(
      plain.stderr,
      /^error: There is no flag --quite\.\nhint: Did you mean --quiet\? See recgemma devices --help\.\n$/,
    );
    assert.equal(json.code, 2);
    assert.deepEqual(errorOf(json.stdout).details, { flags: ['--quite'], suggestion: '--quiet' });
  });

  it('of an argument too many names it', async () => {
    const { code, stdout } = await recgemma('devices', 'extra', '--json');
    assert.equal(code, 2);
    assert.equal(errorOf(stdout).message, 'Unexpected argument: extra.');
  });

  it('of a flag before the command says where flags go', async () => {
    const { code, stderr } = await recgemma('--threads', 'devices');
    assert.equal(code, 2);
    assert.match(stderr, /There is no global flag --threads/);
  });
});

describe('devices', { skip }, () => {
  it('says what can run here: a table, and the same as JSON', async () => {
    const plain = await recgemma('devices', '--no-color');
    assert.deepEqual({ code: plain.code, stderr: plain.stderr }, { code: 0, stderr: '' });
    assert.match(plain.stdout, /^DEVICE +AVAILABLE +DETAIL\ncpu +yes +\S/);

    const json = await recgemma('--json', 'devices');
    assert.deepEqual({ code: json.code, stderr: json.stderr }, { code: 0, stderr: '' });
    const { devices, host } = JSON.parse(json.stdout) as {
      devices: { name: string; available: boolean }[];
      host: { node: string };
    };
    assert.deepEqual(
      devices.map(({ name }) => name),
      ['cpu', 'webgpu', 'cuda'],
    );
    assert.equal(devices[0]?.available, true);
    assert.equal(host.node, process.versions.node);
  });
});
