/** Errors of oclif's parser in our words: what is wrong with the command line, and what was probably meant. */

import { RecgemmaError, UsageError } from '../errors.js';
import { closest } from './suggest.js';

/** What oclif's parse errors carry, as far as it is used here. */
interface ParserError extends Error {
  /** Of an unknown flag: as they were typed. */
  readonly flags?: readonly string[];
  /** Of missing and of superfluous arguments. */
  readonly args?: readonly (string | { readonly name: string })[];
  readonly parse?: { readonly input?: { readonly flags?: Readonly<Record<string, { allowNo?: boolean }>> } };
}

/** The error to throw for one that parsing the command line of `command` threw; what is no usage error stays itself. */
export function usageError(error: unknown, command: string): unknown {
  if (!(error instanceof Error)) return error;
  const message = withoutNoise(error.message);
  if (error instanceof RecgemmaError) {
    error.message = message; // one of ours, whose message the parser has changed
    return error;
  }
  if (!('oclif' in error)) return error;
  return explain(error, message, `See recgemma ${command} --help.`);
}

/** What the parser adds around the message of an error that a flag's own parser threw, and to all its own. */
function withoutNoise(message: string): string {
  return message.replace(/^Parsing --\S+ \n\t/, '').replace(/\nSee more help with --help$/, '');
}

function explain(error: ParserError, message: string, help: string): UsageError {
  const context = { hint: help, cause: error };
  const { flags, args } = error;
  if (flags !== undefined) {
    const near = closest(flags[0] ?? '', flagNames(error));
    return new UsageError(`There is no flag ${flags.join(', ')}.`, {
      ...context,
      hint: near === undefined ? help : `Did you mean ${near}? ${help}`,
      details: { flags, ...(near === undefined ? {} : { suggestion: near }) },
    });
  }
  if (args !== undefined) {
    const names = args.map((arg) => (typeof arg === 'string' ? arg : arg.name.toUpperCase()));
    const what = message.startsWith('Missing') ? 'Missing' : 'Unexpected';
    return new UsageError(`${what} argument: ${names.join(' ')}.`, {
      ...context,
      details: { arguments: names },
    });
  }
  return new UsageError(asSentences(message), context);
}

function flagNames(error: ParserError): string[] {
  return Object.entries(error.parse?.input?.flags ?? {}).flatMap(([name, { allowNo }]) =>
    allowNo === true ? [`--${name}`, `--no-${name}`] : [`--${name}`],
  );
}

/** oclif's phrases, and ours for them. */
const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/^Flag (--\S+)/, '$1'],
  [/^Missing required flag (\S+)$/, 'The flag --$1 is required'],
  [/^Expected (--[^=\s]+)=(.*) to be one of: (.*)$/, '$1 must be one of $3, not "$2"'],
  [/^(--[^=\s]+)(?:=.*)? cannot also be provided when using (--[^=\s]+)$/, '$1 and $2 cannot go together'],
  [/^Exactly one of the following must be provided: (.*)$/, 'Give one of $1'],
];

/** oclif's reasons, one a line and without full stops, as sentences. */
function asSentences(text: string): string {
  const lines = text.replace(/^The following errors? occurred:\s*/, '').split('\n');
  return lines
    .map((line) => PHRASES.reduce((said, [theirs, ours]) => said.replace(theirs, ours), line.trim()))
    .map((line) => (/[.!?]$/.test(line) ? line : `${line}.`))
    .join(' ');
}
