/** What went wrong between us and the hub, in sentences, and whether another try could help. */

import { RecgemmaError, UnavailableError } from '../errors.js';
import type { HubAnswer, HubClient } from './client.js';

/** A failure that may pass; `outcome` is the error to show where it does not. */
export class TransientFailure extends Error {
  readonly outcome: RecgemmaError;
  /** How long the server asked us to wait, in milliseconds. */
  readonly retryAfterMs: number;
  /** No connection at all: the name does not resolve, nobody listens, or its certificate is not trusted. */
  readonly unreachable: boolean;

  constructor(outcome: RecgemmaError, { retryAfterMs = 0, unreachable = false } = {}) {
    super(outcome.message);
    this.outcome = outcome;
    this.retryAfterMs = retryAfterMs;
    this.unreachable = unreachable;
  }
}

const UNREACHABLE = new Set(['ENOTFOUND', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'EAI_AGAIN']);
const CERTIFICATE = /CERT|VERIFY/;

/**
 * Turns an answer that is no success into the error it stands for. The hub says more by `X-Error-Code` than by the
 * status: to strangers a private repository, and one that never was, are both 401.
 *
 * @param wanted what was asked for, as in "could not get <wanted>".
 */
export function statusFailure(
  { response, fromHub }: HubAnswer,
  client: HubClient,
  wanted: string,
): RecgemmaError | TransientFailure {
  const { status, headers } = response;
  const { repository, revision } = client;
  const host = fromHub || !URL.canParse(response.url) ? client.endpoint : new URL(response.url).host;
  const plain = new UnavailableError(`${host} answered ${status} when asked for ${wanted}.`, {
    details: { repository, revision, status },
  });
  // The address that the hub sent us to expires, and is made afresh by asking the hub again: any refusal there may pass.
  if (!fromHub || status === 408 || status === 429 || status >= 500) {
    return new TransientFailure(plain, { retryAfterMs: retryAfterMs(headers.get('retry-after')) });
  }

  const code = headers.get('x-error-code');
  if (code === 'GatedRepo') return gated(client);
  if (code === 'RevisionNotFound') {
    return new UnavailableError(`${repository} has no branch, tag or commit named ${revision}.`, {
      hint: `See ${client.endpoint}/${repository}/tree/main for those it has.`,
    });
  }
  if (code === 'EntryNotFound')
    return new UnavailableError(`${repository} (${revision}) has no longer ${wanted}.`);
  if (code === 'RepoNotFound' || (status === 404 && code === null)) return notFound(client);
  if (status === 401 || status === 403) return refused(client, status);
  return plain;
}

/** Turns what `fetch` throws into a TransientFailure; errors that already are ours pass through. */
export function networkFailure(error: unknown, client: HubClient, stalled: boolean): unknown {
  if (error instanceof RecgemmaError || error instanceof TransientFailure) return error;
  const code = networkCode(error);
  if (code === undefined && !stalled) return error;
  const reason = stalled ? `nothing came for ${formatWait(client.retry.stallMs)}` : code;
  const distrusted = code !== undefined && CERTIFICATE.test(code);
  const unreachable = distrusted || (code !== undefined && UNREACHABLE.has(code));
  const message = unreachable
    ? `${client.endpoint} cannot be reached (${reason}).`
    : `The connection to ${client.endpoint} was lost (${reason}).`;
  const outcome = new UnavailableError(message, {
    hint: distrusted
      ? 'If a proxy re-signs the traffic here, set NODE_EXTRA_CA_CERTS to its certificate.'
      : 'Check the network; what has been downloaded is kept, and --offline uses it alone.',
    cause: error,
  });
  return new TransientFailure(outcome, { unreachable });
}

/** A redirect that is not followed. */
export function redirectFailure(client: HubClient, reason: string): RecgemmaError {
  return new UnavailableError(`${client.endpoint} redirects ${reason}: not followed.`);
}

/** A wait in words: `45 s`, `10 min`. */
export function formatWait(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}

function gated(client: HubClient): RecgemmaError {
  const page = `${client.endpoint}/${client.repository}`;
  const message =
    client.token === undefined
      ? `${client.repository} is gated. Accept the licence at ${page}, then set HF_TOKEN.`
      : `${client.repository} is gated, and the token that was sent has no access. Accept the licence at ${page} with the account it belongs to, then set HF_TOKEN to a token that may read gated repositories.`;
  return new UnavailableError(message, {
    hint: 'A token is made at https://huggingface.co/settings/tokens.',
    details: { repository: client.repository, page },
  });
}

function notFound(client: HubClient): RecgemmaError {
  return new UnavailableError(
    `${client.endpoint} has no repository ${client.repository}, or it is private.`,
    {
      hint:
        client.token === undefined
          ? 'Check the name; if it is private, set HF_TOKEN.'
          : 'Check the name, and that the token may read it.',
    },
  );
}

function refused(client: HubClient, status: number): RecgemmaError {
  const { endpoint, repository, token } = client;
  const hint = `If ${repository} is gated, accept the licence at ${endpoint}/${repository}, then set HF_TOKEN.`;
  return token !== undefined && status === 401
    ? new UnavailableError(`${endpoint} does not accept the token that was sent (401).`, {
        hint: 'Make a new one at https://huggingface.co/settings/tokens and set HF_TOKEN.',
      })
    : new UnavailableError(`${endpoint} refuses access to ${repository} (${status}).`, { hint });
}

/** The system's or the HTTP client's code of a failed `fetch`, which hides it in `cause`. */
function networkCode(error: unknown): string | undefined {
  if (!(error instanceof TypeError)) return undefined;
  const { cause } = error;
  if (!(cause instanceof Error)) return undefined;
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}

/** `Retry-After` is either seconds or a date (RFC 9110, section 10.2.3). */
function retryAfterMs(header: string | null): number {
  if (header === null) return 0;
  const wait = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : 0;
}
