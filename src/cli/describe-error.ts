/** Turns whatever was thrown into a failure for people: a code, a sentence, a hint, an exit code. */

import { InputError, type RecgemmaError, UnavailableError, UsageError } from '../errors.js';

/** An error as it is reported; `code`, `message`, `hint` and `details` are also its JSON form. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly exitCode: number;
  readonly stack: string | undefined;
}

/** What our own errors look like. By shape and not by class, for the bundle and the library each have their own copy. */
interface OwnError extends Error {
  readonly code: string;
  readonly exitCode: number;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

function isOwnError(error: Error): error is OwnError {
  return (
    'code' in error &&
    typeof error.code === 'string' &&
    'exitCode' in error &&
    typeof error.exitCode === 'number'
  );
}

/** Whether `error` is an InterruptedError of this or another copy of the library. */
export function isInterruption(error: unknown): boolean {
  return error instanceof Error && isOwnError(error) && error.code === 'interrupted';
}

/** Describes anything that was thrown. An error that nobody foresaw is called what it is: a bug. */
export function describeError(thrown: unknown): Failure {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const known = isOwnError(error) ? error : (oclifError(error) ?? systemError(error));
  const stack = stackOf(error);
  if (known === undefined) {
    return {
      code: 'failed',
      message: `This is a bug in recgemma: ${error.name}: ${error.message}`,
      hint: 'Run again with --debug for the stack trace, and please report it.',
      details: undefined,
      exitCode: 1,
      stack,
    };
  }
  const { code, message, hint, details, exitCode } = known;
  return { code, message, hint, details, exitCode, stack };
}

/** The stack and those of its causes. */
function stackOf(error: Error): string | undefined {
  const cause = error.cause instanceof Error ? stackOf(error.cause) : undefined;
  return cause === undefined ? error.stack : `${error.stack}\nCaused by: ${cause}`;
}

/** An error of oclif itself, such as help asked for what is not there. (Those of its parser: `usage-error.ts`.) */
function oclifError(error: Error & { readonly oclif?: unknown }): UsageError | undefined {
  return error.oclif === undefined
    ? undefined
    : new UsageError(error.message, { hint: 'See recgemma --help.' });
}

/** Failures of the machine rather than of us, by Node's error code: what each means. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full',
  EDQUOT: 'The disk quota is used up',
  EFBIG: 'The file system takes no file of this size',
  EIO: 'The disk failed',
  ENOMEM: 'There is not enough memory',
  EBUSY: 'A file or folder is in use',
  EMFILE: 'Too many files are open',
  ENOTFOUND: 'The network cannot be reached',
  EAI_AGAIN: 'The network cannot be reached',
  ECONNREFUSED: 'The connection was refused',
  ECONNRESET: 'The connection was lost',
  ETIMEDOUT: 'The connection timed out',
  EACCES: 'Permission denied',
  EPERM: 'Permission denied',
  EROFS: 'The file system is read-only',
};

/** Those that say that a path given to us is not what it should be. */
const PATH_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'There is no such file or folder',
  ENOTDIR: 'This is not a folder',
  EISDIR: 'This is a folder, not a file',
};

interface SystemError extends Error {
  readonly code?: unknown;
  readonly path?: unknown;
}

/** An error of the system or of a connection in our words, or undefined for any other error. */
function systemError(error: SystemError): RecgemmaError | undefined {
  if (error.message === 'fetch failed' && error.cause instanceof Error) return systemError(error.cause);
  if (error instanceof RangeError && error.message.includes('allocation failed')) {
    return new UnavailableError(`There is not enough memory: ${error.message}.`, { cause: error });
  }
  const code = typeof error.code === 'string' ? error.code : '';
  const context = { cause: error, details: { system: code } };
  if (code in PATH_ERRORS && typeof error.path === 'string') {
    return new InputError(`${PATH_ERRORS[code]}: ${error.path}`, context);
  }
  return code in SYSTEM_ERRORS
    ? new UnavailableError(`${SYSTEM_ERRORS[code]}: ${error.message}.`, context)
    : undefined;
}
