/** Errors made for people: each says what was wrong and where, and, where it can, what to do next. */

/** What kind of failure an error is; the CLI turns it into an exit code (docs/architecture.md). */
export type ErrorCode = 'failed' | 'usage' | 'input' | 'check' | 'unavailable' | 'interrupted';

const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  failed: 1,
  usage: 2,
  input: 3,
  check: 4,
  unavailable: 5,
  interrupted: 130,
};

/** What an error may carry beside its message. */
export interface ErrorContext {
  /** What to do next, one sentence or one command. */
  readonly hint?: string;
  /** Machine-readable facts: file, tensor, expected, found, … */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The root of every error that this package throws on purpose. */
export class RecgemmaError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = context.hint;
    this.details = context.details;
  }

  /** The process exit code that design rules give this kind of failure. */
  get exitCode(): number {
    return EXIT_CODES[this.code];
  }
}

/** The caller asked for something that makes no sense (exit 2). */
export class UsageError extends RecgemmaError {
  constructor(message: string, context?: ErrorContext) {
    super('usage', message, context);
  }
}

/** A file cannot be used: not a checkpoint, corrupt, or of shapes that do not fit (exit 3). */
export class InputError extends RecgemmaError {
  constructor(message: string, context?: ErrorContext) {
    super('input', message, context);
  }
}

/** It ran, but a check failed: a tolerance, a threshold, a regression (exit 4). */
export class CheckError extends RecgemmaError {
  constructor(message: string, context?: ErrorContext) {
    super('check', message, context);
  }
}

/** What is needed is not here: a device, memory, the network, a licence (exit 5). */
export class UnavailableError extends RecgemmaError {
  constructor(message: string, context?: ErrorContext) {
    super('unavailable', message, context);
  }
}

/** Ctrl-C, or an aborted signal (exit 130); the message says what was kept. */
export class InterruptedError extends RecgemmaError {
  constructor(message = 'Interrupted.', context?: ErrorContext) {
    super('interrupted', message, context);
  }
}
