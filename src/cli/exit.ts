/** The process's last steps: run, report what went wrong, flush, end with the right exit code. */

import { Console } from './console.js';
import { describeError, type Failure } from './describe-error.js';
import { peekFlag } from './environment.js';
import { exitInterrupted, threadsEnded, watchThreads } from './threads.js';

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
  const peek = (flag: string) => peekFlag(flag, argv, process.env);
  const console = new Console({ json: peek('json') ?? false, color: peek('color') });
  let failed = false;
  const fail = (error: unknown): number => {
    failed = true;
    const requested = requestedExit(error);
    if (requested !== undefined) return requested;
    const failure = describeError(error);
    reportFailure(console, failure, peek('debug') ?? false);
    return failure.exitCode;
  };

  watchThreads();
  process.stderr.on('error', () => {}); // a closed stderr must not end a run that still writes its result
  process.on('uncaughtException', (error) => {
    if (!failed) void end(fail(error)); // once: on a full disk the report, too, throws here
  });
  try {
    await work();
  } catch (error) {
    return end(fail(error));
  }
  return end(Number(process.exitCode ?? 0));
}

/** Prints a failure: sentences on stderr, or one line of JSON (it may end JSON Lines) on stdout. A stack goes to stderr. */
function reportFailure(console: Console, failure: Failure, debug: boolean): void {
  const { code, message, hint, details, stack } = failure;
  if (console.json) console.line({ error: { code, message, hint, details } });
  else console.fail(code === 'interrupted' ? undefined : 'error', message, hint);
  if (debug && stack !== undefined) console.trace(stack);
}

/** An interrupted process is gone well within 200 ms of the signal; any other lets its threads finish what they are at. */
const INTERRUPTED_LIMIT_MS = 150;
const THREADS_LIMIT_MS = 30_000;

async function end(exitCode: number): Promise<never> {
  await Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))),
  );
  await threadsEnded(exitCode === 130 ? INTERRUPTED_LIMIT_MS : THREADS_LIMIT_MS);
  if (exitCode === 130) exitInterrupted();
  else process.exit(exitCode);
  return new Promise<never>(() => {}); // the signal is on its way
}
