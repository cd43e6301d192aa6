/** The command line's entry: the table of commands, and how one is found and run. */

import { type Command, run, settings } from '@oclif/core';
import Convert from '../commands/convert.js';
import Devices from '../commands/devices.js';
import Inspect from '../commands/inspect.js';
import Sample from '../commands/sample.js';
import Score from '../commands/score.js';
import Verify from '../commands/verify.js';
import { UsageError } from '../errors.js';
import { exitWith } from './exit.js';
import { helpInOrder } from './help.js';
import { closest } from './suggest.js';

/** Every command, in the order in which help lists them. A new one needs its file in `src/commands/` and a line here. */
export const COMMANDS: Readonly<Record<string, Command.Class>> = {
  convert: Convert,
  inspect: Inspect,
  verify: Verify,
  sample: Sample,
  score: Score,
  devices: Devices,
};

/** Help that keeps the order of {@link COMMANDS}; package.json names it to oclif. */
export const RecgemmaHelp = helpInOrder(Object.keys(COMMANDS));

/** The global flags that take no value, and so may also stand before the command. */
const LEADING_FLAGS = new Set([
  '--json',
  '-q',
  '--quiet',
  '-v',
  '--verbose',
  '--color',
  '--no-color',
  '--debug',
]);

const HELP_FLAGS = new Set(['--help', '-h']);

/** Runs the command line on `argv` (without `node` and the script) and ends the process with its exit code. */
export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  settings.enableAutoTranspile = false; // never look for TypeScript sources, whatever NODE_ENV says
  await exitWith(argv, () => run(arrange(argv), import.meta.url));
}

/** `argv` as oclif takes it: the command first. Throws UsageError where there is no such command. */
function arrange(argv: readonly string[]): string[] {
  const start = argv.findIndex((word) => !LEADING_FLAGS.has(word));
  if (start === -1) return [];
  const [command = '', ...rest] = argv.slice(start);
  const leading = argv.slice(0, start);

  if (HELP_FLAGS.has(command)) return ['--help', ...rest];
  if (command === '--version') return [command];
  if (command === 'help') return rest.length === 0 ? [] : arrange([...rest, '--help']);
  if (Object.hasOwn(COMMANDS, command)) return [command, ...leading, ...rest];
  throw unknownCommand(command);
}

function unknownCommand(command: string): UsageError {
  if (command.startsWith('-')) {
    return new UsageError(`There is no global flag ${command}.`, {
      hint: 'Flags of a command stand after it: recgemma <command> --flag. See recgemma --help.',
      details: { flag: command },
    });
  }
  const names = Object.keys(COMMANDS);
  const near = closest(command, names);
  return new UsageError(`There is no command "${command}".`, {
    hint: near === undefined ? 'See recgemma --help.' : `Did you mean recgemma ${near}? See recgemma --help.`,
    details: { command, commands: names, ...(near === undefined ? {} : { suggestion: near }) },
  });
}
