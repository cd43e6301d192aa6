/** What goes to stdout, what to stderr, and what is said when. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Console, type ConsoleOptions } from '../../src/cli/console.js';

/** A console on two recorders. `terminal` makes them terminals of that width. */
function record(options: ConsoleOptions & { terminal?: number } = {}) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) => ({
    write: (text: string) => {
      written[name] += text;
    },
    ...(options.terminal === undefined ? {} : { isTTY: true, columns: options.terminal }),
  });
  const console = new Console({ env: {}, ...options, stdout: stream('stdout'), stderr: stream('stderr') });
  return { console, written };
}

const ESC = '\u001b';

describe('results', () => {
  it('are text on stdout', () => {
    const { console, written } = record();
    console.result({ a: 1 }, () => 'one');
    console.write('more');
    assert.deepEqual(written, { stdout: 'one\nmore', stderr: '' });
  });

  it('are JSON with --json, and the text is not even made', () => {
    const { console, written } = record({ json: true });
    console.result({ a: [1, 2] }, () => assert.fail('the text was made'));
    assert.deepEqual(JSON.parse(written.stdout), { a: [1, 2] });
  });

  it('are one line each as JSON Lines', () => {
    const { console, written } = record();
    console.line({ a: 'x\ny' });
    console.line({ a: 2 });
    const lines = written.stdout.trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [{ a: 'x\ny' }, { a: 2 }],
    );
  });

  it('are dropped when the reader has gone', () => {
    const { console, written } = record();
    console.closeOutput();
    console.write('lost');
    assert.equal(written.stdout, '');
  });
});

describe('what is said', () => {
  const sayAll = async (console: Console) => {
    console.note('note');
    console.detail('detail');
    console.warn('warning text');
    const result = await console.step('step', async (report) => {
      report('step, part 2');
      return 5;
    });
    console.fail('error', 'it failed', 'do this');
    return result;
  };

  it('goes to stderr as plain lines in a pipe', async () => {
    const { console, written } = record();
    assert.equal(await sayAll(console), 5);
    assert.deepEqual(written, {
      stdout: '',
      stderr: 'note\nwarning: warning text\nstep\nerror: it failed\nhint: do this\n',
    });
  });

  it('includes details with --verbose', async () => {
    const { console, written } = record({ verbose: true });
    await sayAll(console);
    assert.match(written.stderr, /^note\ndetail\nwarning: warning text\nstep\nstep, part 2\n/);
  });

  it('is the error alone with --quiet', async () => {
    const { console, written } = record({ quiet: true, verbose: true });
    assert.equal(await sayAll(console), 5);
    assert.deepEqual(written, { stdout: '', stderr: 'error: it failed\nhint: do this\n' });
  });

  it('keeps a long hint on one line', () => {
    const { console, written } = record({ terminal: 80 });
    const hint = `recgemma ${'--flag '.repeat(40)}`;
    console.fail('error', 'it failed', hint);
    assert.ok(written.stderr.includes(hint));
  });
});

describe('colour', () => {
  const colored = (options: ConsoleOptions & { terminal?: number }) => {
    const { console, written } = record(options);
    console.warn('w');
    return written.stderr.includes(ESC);
  };

  it('is for terminals', () => {
    assert.equal(colored({ terminal: 80 }), true);
    assert.equal(colored({}), false);
  });

  it('is turned off by NO_COLOR, TERM=dumb and --no-color', () => {
    assert.equal(colored({ terminal: 80, env: { NO_COLOR: '1' } }), false);
    assert.equal(colored({ terminal: 80, env: { NO_COLOR: '' } }), true, 'an empty NO_COLOR counts as unset');
    assert.equal(colored({ terminal: 80, env: { TERM: 'dumb' } }), false);
    assert.equal(colored({ terminal: 80, color: false }), false);
  });

  it('is turned on by --color, also in a pipe', () => {
    assert.equal(colored({ color: true, env: { NO_COLOR: '1' } }), true);
  });
});

describe('steps and progress without a live terminal', () => {
  for (const [name, options] of Object.entries({
    'a terminal of width 0': { terminal: 0 },
    'TERM=dumb': { terminal: 80, env: { TERM: 'dumb' } },
    CI: { terminal: 80, env: { CI: 'true' } },
  })) {
    it(`are plain lines: ${name}`, async () => {
      let time = 0;
      const { console, written } = record({ ...options, color: false, now: () => time });
      await console.step('read', async () => {});
      await console.progress('convert', 10, async (update) => {
        time = 2000;
        update(10);
      });
      assert.equal(written.stderr, 'read\nconvert 100 % 10/10 B\n');
    });
  }

  it('write a line every 10 %', async () => {
    let time = 0;
    const { console, written } = record({ now: () => time });
    const total = 1000 * 2 ** 20;
    await console.progress('convert', total, async (update) => {
      time = 1000;
      for (let i = 1; i <= 1000; i++) update(i * 2 ** 20);
    });
    const lines = written.stderr.trimEnd().split('\n');
    assert.equal(lines.length, 10);
    assert.equal(lines[0], 'convert 10 % 100.0/1000.0 MiB');
    assert.equal(lines[9], 'convert 100 % 1000.0/1000.0 MiB');
  });

  it('write a line every 10 s, however little is done', async () => {
    let time = 0;
    const { console, written } = record({ now: () => time });
    await console.progress('convert', 3 * 2 ** 30, async (update) => {
      for (const seconds of [4, 9, 10, 11, 19, 21]) {
        time = seconds * 1000;
        update(seconds * 2 ** 20);
      }
    });
    assert.equal(written.stderr, 'convert 0 % 10.0 MiB/3.0 GiB\nconvert 0 % 21.0 MiB/3.0 GiB\n');
  });

  it('write nothing of work that is done within a second', async () => {
    const { console, written } = record({ now: () => 0 });
    await console.progress('convert', 10, async (update) => update(10));
    assert.equal(written.stderr, '');
  });

  it('pass errors on', async () => {
    const { console } = record();
    const failing = async () => {
      throw new Error('inside');
    };
    await assert.rejects(console.step('s', failing), /inside/);
    await assert.rejects(console.progress('p', 1, failing), /inside/);
  });
});

describe('tables', () => {
  it('have a bold header on a terminal only', () => {
    const rows = [['a', 1]] as const;
    assert.equal(record().console.table(['NAME', 'N'], rows), 'NAME  N\na     1');
    const onTerminal = record({ terminal: 80 }).console.table(['NAME', 'N'], rows);
    assert.equal(onTerminal, `${ESC}[1mNAME  N${ESC}[0m\na     1`);
  });
});
