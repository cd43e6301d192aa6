/** Trying again after failures that pass: cut connections, busy servers. */

import { setTimeout as sleep } from 'node:timers/promises';
import { InterruptedError, UnavailableError } from '../errors.js';
import { formatWait, TransientFailure } from './failure.js';

/** How patient a download is. */
export interface RetryPolicy {
  /** Tries in a row that may fail without getting further. */
  readonly attempts: number;
  /** Wait before the second try, in milliseconds; doubled each time. */
  readonly firstDelayMs: number;
  /** The longest wait that a server may ask for by `Retry-After`. */
  readonly maxRetryAfterMs: number;
  /** How long a connection may stay silent. */
  readonly stallMs: number;
}

/** Five tries within about eight seconds of waiting, a minute of silence, and up to two minutes where the hub asks for them. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  attempts: 5,
  firstDelayMs: 500,
  maxRetryAfterMs: 120_000,
  stallMs: 60_000,
};

/** However much each try brings, a file in so many pieces is a server that keeps us busy on purpose. */
const MAX_ATTEMPTS_IN_ALL = 200;

/** What `withRetries` needs to know beside the work itself. */
export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
  /** How far the work has got; a failure after getting further than ever before starts a new row of tries. */
  readonly reached?: () => number;
  /** Whether a host that cannot be found or refuses connections is worth another try. */
  readonly retryUnreachable?: boolean;
}

/**
 * Runs `attempt` until it does not throw TransientFailure, or patience ends.
 *
 * @throws the outcome named by the last TransientFailure; any other error of `attempt` at once; InterruptedError.
 */
export async function withRetries<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { policy, signal } = options;
  let furthest = options.reached?.() ?? 0;
  let failures = 0;
  for (let total = 1; ; total++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransientFailure)) throw error;
      const reached = options.reached?.() ?? 0;
      failures = reached > furthest ? 1 : failures + 1;
      furthest = Math.max(furthest, reached);
      const hopeless = error.unreachable && options.retryUnreachable !== true;
      if (hopeless || failures >= policy.attempts || total >= MAX_ATTEMPTS_IN_ALL) throw error.outcome;
      await pause(error, failures, policy, signal);
    }
  }
}

async function pause(
  failure: TransientFailure,
  failures: number,
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<void> {
  if (failure.retryAfterMs > policy.maxRetryAfterMs) {
    throw new UnavailableError(
      `${failure.outcome.message} It asks to wait ${formatWait(failure.retryAfterMs)}.`,
      {
        hint: 'Run the same command again then: what has been downloaded is kept.',
        cause: failure.outcome,
      },
    );
  }
  const wait = Math.max(policy.firstDelayMs * 2 ** (failures - 1), failure.retryAfterMs);
  await sleep(wait, undefined, { signal }).catch(() => {
    throw new InterruptedError();
  });
}
