/** The process's last steps: run, report what went wrong, flush, end with the right exit code. */

import { Console } from './console.js';
import { describeError, type Failure } from './describe-error.js';

/** Exit code that oclif's own `this.exit(n)` asks for, where `error` is that request. */
function requestedExit(error: unknown): number | undefined {
  const { code, oclif } = (error ?? {}) as { code?: unknown; oclif?: { exit?: unknown } };
  return code === 'EEXIT' && typeof oclif?.exit === 'number' ? oclif.exit : undefined;
}

/**
 * Runs `work` and ends the process: 0, or the exit code of its error, which is reported for people on stderr or, with
 * `--json` in `argv`, as `{"error": …}` on stdout. `argv` is read here because a usage error comes before any parsing.
 */
export async function exitWith(argv: readonly string[], work: () => Promise<unknown>): Promise<never> {
  const flags = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
  const isSet = (name: string) => flags.includes(`--${name}`) || isTrue(process.env[envName(name)]);
  const console = new Console({
    json: isSet('json'),
    color: flags.includes('--no-color') ? false : flags.includes('--color') ? true : undefined,
  });
  const fail = (error: unknown): number => {
    const requested = requestedExit(error);
    if (requested !== undefined) return requested;
    const failure = describeError(error);
    reportFailure(console, failure, isSet('debug'));
    return failure.exitCode;
  };

  process.stderr.on('error', () => {}); // a closed stderr must not end a run that still writes its result
  process.on('uncaughtException', (error) => void end(fail(error)));
  try {
    await work();
  } catch (error) {
    return end(fail(error));
  }
  return end(Number(process.exitCode ?? 0));
}

/** Prints a failure: sentences on stderr, or one JSON document on stdout. The stack goes to stderr, on request. */
function reportFailure(console: Console, failure: Failure, debug: boolean): void {
  const { code, message, hint, details, stack } = failure;
  if (console.json) console.result({ error: { code, message, hint, details } }, () => '');
  else console.fail(code === 'interrupted' ? undefined : 'error', message, hint);
  if (debug && stack !== undefined) console.trace(stack);
}

async function end(exitCode: number): Promise<never> {
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))),
  );
  process.exit(exitCode);
}

/** The environment variable of a flag: `max-tokens` is set by `RECGEMMA_MAX_TOKENS`. */
export function envName(flag: string): string {
  return `RECGEMMA_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** Whether a variable's text means yes, as oclif reads a boolean flag's. */
function isTrue(text: string | undefined): boolean {
  return ['1', 'true', 'y', 'yes'].includes((text ?? '').toLowerCase());
}
