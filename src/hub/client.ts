/** One request to the hub: the token only to the hub itself, redirects followed by hand, no wait without end. */

import { InterruptedError } from '../errors.js';
import { networkFailure, redirectFailure } from './failure.js';
import type { RetryPolicy } from './retries.js';

/** Whom to ask, about which repository, as whom. */
export interface HubClient {
  /** Base URL without a trailing slash. */
  readonly endpoint: string;
  readonly repository: string;
  readonly revision: string;
  readonly token: string | undefined;
  readonly signal: AbortSignal;
  readonly retry: RetryPolicy;
}

/** The answer at the end of the redirects. */
export interface HubAnswer {
  readonly response: Response;
  /** The content as it comes; ends with an error on a cut, a stall and an abort. To be read once. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Headers of the first answer: the hub describes a file there before it sends us to the servers that hold it. */
  readonly hubHeaders: Headers;
  /** Whether the hub itself answered, not a server that it sent us to. */
  readonly fromHub: boolean;
}

/** More than the hub needs (a renamed repository, then the file's server); a loop ends here. */
const MAX_REDIRECTS = 5;

/**
 * Sends one GET and gives the answer, whatever its status, to `read`; the connection is closed when `read` returns.
 * A connection that is silent for `retry.stallMs` counts as cut.
 *
 * @throws TransientFailure for a cut or a stall, RecgemmaError for what no second try mends, InterruptedError on abort.
 */
export async function get<T>(
  client: HubClient,
  url: string,
  headers: Readonly<Record<string, string>>,
  read: (answer: HubAnswer) => Promise<T>,
): Promise<T> {
  const connection = new AbortController();
  const close = () => connection.abort();
  const watchdog = setTimeout(close, client.retry.stallMs);
  client.signal.addEventListener('abort', close);
  let response: Response | undefined;
  try {
    if (client.signal.aborted) throw new InterruptedError();
    const answer = await orAborted(follow(client, url, headers, connection.signal), connection.signal);
    response = answer.response;
    return await read({ ...answer, body: chunks(response, connection.signal, () => watchdog.refresh()) });
  } catch (error) {
    if (client.signal.aborted) throw new InterruptedError();
    throw networkFailure(error, client, connection.signal.aborted);
  } finally {
    clearTimeout(watchdog);
    client.signal.removeEventListener('abort', close);
    close();
    if (response?.body?.locked === false) await response.body.cancel().catch(() => {});
  }
}

// Node 20's fetch may lose its signal: it holds it weakly, and an abort after a garbage collection then reaches neither
// the request nor the body, which wait for ever. So both are ended by our own hand too.

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
  return Promise.race([promise, aborted]);
}

async function* chunks(
  response: Response,
  signal: AbortSignal,
  alive: () => void,
): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted();
  if (response.body === null) return;
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener('abort', cancel);
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      alive();
      yield next.value;
    }
    // A cancelled body looks like one that has ended.
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener('abort', cancel);
    cancel();
  }
}

async function follow(
  client: HubClient,
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Omit<HubAnswer, 'body'>> {
  const hub = new URL(client.endpoint);
  let target = new URL(url);
  let hubHeaders: Headers | undefined;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    // A token sent to another host could be read there, and the file servers refuse requests that carry one.
    const fromHub = target.origin === hub.origin;
    const authorization: Record<string, string> =
      fromHub && client.token !== undefined ? { authorization: `Bearer ${client.token}` } : {};
    const response = await fetch(target, {
      redirect: 'manual',
      signal,
      headers: { 'user-agent': 'recgemma', ...headers, ...authorization },
    });
    hubHeaders ??= response.headers;
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null)
      return { response, hubHeaders, fromHub };

    await response.body?.cancel();
    const next = URL.canParse(location, target.href) ? new URL(location, target.href) : undefined;
    if (!next || !/^https?:$/.test(next.protocol))
      throw redirectFailure(client, 'to an address that is no web address');
    if (target.protocol === 'https:' && next.protocol === 'http:') {
      throw redirectFailure(client, `from https to plain http (${next.host})`);
    }
    target = next;
  }
  throw redirectFailure(client, `more than ${MAX_REDIRECTS} times`);
}

/**
 * Reads a whole body as text.
 *
 * @throws whatever `tooLong` makes where it has more than `limit` bytes; otherwise as the body does.
 */
export async function readText(
  body: AsyncIterable<Uint8Array>,
  limit: number,
  tooLong: () => Error,
): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body) {
    length += piece.length;
    if (length > limit) throw tooLong();
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
