/** Asking the hub which commit a revision is, and which files that commit holds. */

import { InputError, RecgemmaError } from '../errors.js';
import { get, type HubClient, readText } from './client.js';
import { statusFailure, TransientFailure } from './failure.js';
import { checkedFile, type HubFile, isCommit } from './hub-file.js';
import { withRetries } from './retries.js';

// Bounds on what a server may make us hold. The largest model repositories list some thousand files; one page holds
// a thousand entries of about 300 bytes.
const MAX_FILES = 100_000;
const MAX_PAGES = 1_000;
const MAX_PAGE_BYTES = 16 * 2 ** 20;

/**
 * The full id of the commit that the client's revision names now: one request.
 *
 * @throws UnavailableError for a repository or a revision that is not there, gated, or out of reach.
 */
export async function resolveCommit(client: HubClient): Promise<string> {
  const { modelInfo } = await import('@huggingface/hub');
  const info = await asHub(client, () =>
    modelInfo({
      name: client.repository,
      revision: client.revision,
      additionalFields: ['sha'],
      hubUrl: client.endpoint,
      fetch: hubFetch(client, `the commit of ${client.revision}`),
    }),
  );
  if (!isCommit(info.sha)) throw notAHub(client, new Error(`its commit is ${JSON.stringify(info.sha)}`));
  return info.sha;
}

/**
 * Every file of the repository at `commit`: one request for each thousand.
 *
 * @throws InputError where the listing holds a path that could leave the cache folder, or has no end.
 */
export async function listRepository(client: HubClient, commit: string): Promise<HubFile[]> {
  const { listFiles } = await import('@huggingface/hub');
  return asHub(client, async () => {
    const files = new Map<string, HubFile>();
    const entries = listFiles({
      repo: { type: 'model', name: client.repository },
      revision: commit,
      recursive: true,
      hubUrl: client.endpoint,
      fetch: hubFetch(client, 'its list of files'),
    });
    for await (const { type, path, size, oid, lfs, xetHash } of entries) {
      if (type !== 'file') continue;
      if (files.size >= MAX_FILES) throw endless(client);
      const file = checkedFile(
        { path, size: lfs?.size ?? size, blobId: oid, sha256: lfs?.oid, xetHash },
        client.endpoint,
      );
      files.set(path, file);
    }
    return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  });
}

/** The `fetch` that the hub library calls: ours, with retries and bounds, and failures already put into words. */
function hubFetch(client: HubClient, wanted: string): typeof fetch {
  let pages = 0;
  return async (input) => {
    if (++pages > MAX_PAGES) throw endless(client);
    const url = input instanceof Request ? input.url : String(input);
    const page = () =>
      get(client, url, { accept: 'application/json' }, async (answer) => {
        const { response, body } = answer;
        if (!response.ok) throw statusFailure(answer, client, wanted);
        const text = await readText(body, MAX_PAGE_BYTES, () => endless(client));
        return new Response(text, { headers: { link: response.headers.get('link') ?? '' } });
      });
    return withRetries(page, { policy: client.retry, signal: client.signal });
  };
}

/** The library believes what it gets: what it then trips over is an answer that no hub gives. */
async function asHub<T>(client: HubClient, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof RecgemmaError || error instanceof TransientFailure) throw error;
    throw notAHub(client, error);
  }
}

function notAHub(client: HubClient, cause: unknown): InputError {
  return new InputError(`${client.endpoint} does not answer as a Hugging Face hub does.`, {
    hint: 'Check HF_ENDPOINT; a proxy that asks for a log-in looks like this too.',
    cause,
  });
}

function endless(client: HubClient): InputError {
  return new InputError(
    `${client.endpoint} lists more files for ${client.repository} than any checkpoint has.`,
  );
}
