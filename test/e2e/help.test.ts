/** What `--help` says of every command, and a list of all flags, so that a change of one is seen in review. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BaseCommand } from '../../src/cli/base-command.js';
import { COMMANDS } from '../../src/cli/main.js';
import { NOT_BUILT, recgemma } from './run.js';

/** Written anew by `UPDATE_SNAPSHOTS=1 node scripts/test.js e2e/help`. */
const SNAPSHOT = fileURLToPath(new URL('./flags.snapshot.json', import.meta.url));

/** What users of a flag rely on. */
interface FlagFacts {
  readonly char?: string;
  readonly type: string;
  readonly default?: unknown;
  readonly options?: readonly string[];
  readonly required?: true;
  readonly multiple?: true;
}

type Flags = (typeof COMMANDS)[string]['flags'];

function factsOf(flags: Flags): Record<string, FlagFacts> {
  return Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [
      name,
      JSON.parse(
        JSON.stringify({
          char: flag.char,
          type: flag.type === 'boolean' ? 'boolean' : (flag.helpValue ?? 'text'),
          default: flag.default,
          options: 'options' in flag ? flag.options : undefined,
          required: flag.required || undefined,
          multiple: ('multiple' in flag && flag.multiple) || undefined,
        }),
      ) as FlagFacts,
    ]),
  );
}

it('the flags of all commands are those of the snapshot', async () => {
  const found = {
    global: factsOf(BaseCommand.baseFlags as Flags),
    ...Object.fromEntries(Object.entries(COMMANDS).map(([name, { flags }]) => [name, factsOf(flags ?? {})])),
  };
  if (process.env.UPDATE_SNAPSHOTS) await writeFile(SNAPSHOT, `${JSON.stringify(found, null, 2)}\n`);
  assert.deepEqual(found, JSON.parse(await readFile(SNAPSHOT, 'utf8')));
});

describe('--help', { skip: NOT_BUILT, concurrency: 2 }, () => {
  it('lists exactly the commands', async () => {
    const { status, stdout } = await recgemma(['--help']);
    assert.equal(status, 0);
    const listed = /COMMANDS\n((?: {2}.*\n)+)/.exec(stdout)![1]!.trimEnd().split('\n');
    assert.deepEqual(
      listed.map((line) => line.trim().split(' ')[0]),
      Object.keys(COMMANDS),
    );
  });

  for (const [name, { flags = {} }] of Object.entries(COMMANDS)) {
    it(`of ${name} says something of every flag, in 80 columns but for examples`, async () => {
      const { status, stdout, stderr } = await recgemma([name, '--help']);
      assert.deepEqual([status, stderr], [0, '']);
      for (const flag of [...Object.keys(flags), ...Object.keys(BaseCommand.baseFlags)]) {
        const said = new RegExp(`^ +(-\\w, )?--(\\[no-\\])?${flag}(=\\S+)? +\\S+`, 'm');
        assert.match(stdout, said, `${name} --${flag}`);
      }
      for (const line of stdout.split('\n')) assert.ok(line.length <= 80 || line.includes('recgemma '), line);
      assert.match(stdout, /\nEXAMPLES\n/);
      assert.ok(!stdout.includes('\u001b'));
    });
  }
});
