/** A Hugging Face hub on this machine: the parts of its API that a download uses, and every way we know for it to fail. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A file as the hub holds it; `lfs` files are served by the second server, as large files are. */
export interface FakeFile {
  readonly content: Buffer;
  readonly lfs: boolean;
}

export interface FakeRepository {
  readonly commit: string;
  /** Branch or tag to commit. */
  readonly refs: Record<string, string>;
  readonly files: Record<string, FakeFile>;
  /** The token that opens it; a repository without one is open to all. */
  readonly gatedBy?: string;
  /** Entries added to the listing as they are, however malformed. */
  readonly extraEntries?: readonly unknown[];
}

/** What happens to one request in place of the proper answer. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  /** Drops the connection after that many bytes of content. */
  | { readonly kind: 'cut'; readonly after: number }
  /** Sends that many bytes of content, and then nothing, for ever. */
  | { readonly kind: 'stall'; readonly after: number }
  | { readonly kind: 'ignore-range' }
  /** Begins that many bytes after where it was asked to. */
  | { readonly kind: 'shift-range'; readonly by: number }
  | { readonly kind: 'replace'; readonly content: Buffer }
  | { readonly kind: 'redirect'; readonly location: string }
  /** Answers properly, once as many requests wait here as `gate` wants. */
  | { readonly kind: 'gate'; readonly gate: Gate };

/** Holds requests back until `wanted` of them have come. */
export interface Gate {
  wanted: number;
  readonly waiting: (() => void)[];
}

export interface LoggedRequest {
  readonly server: 'hub' | 'cdn';
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export interface FakeHub {
  readonly endpoint: string;
  readonly repositories: Record<string, FakeRepository>;
  readonly requests: LoggedRequest[];
  /**
   * Faults to come, first to last, by `revision`, `tree`, `hub:<file>` (the answer or redirect of `/resolve/`) or
   * `cdn:<file>`; each meets one request.
   */
  readonly faults: Record<string, Fault[]>;
  /** Entries of a listing in one answer. */
  pageSize: number;
  /** The requests so far as `hub GET /path bytes=5-`, and forgets them. */
  takeRequests(): string[];
  close(): Promise<void>;
}

export async function startFakeHub(repositories: Record<string, FakeRepository>): Promise<FakeHub> {
  const hub: Omit<FakeHub, 'endpoint'> = {
    repositories,
    requests: [],
    faults: {},
    pageSize: 1000,
    takeRequests: () =>
      hub.requests
        .splice(0)
        .map(({ server, method, path, range }) => [server, method, path, range].filter(Boolean).join(' ')),
    close: async () => {
      for (const server of [hubServer, cdnServer]) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
  const listen = async (
    name: 'hub' | 'cdn',
    answer: (request: IncomingMessage, reply: ServerResponse) => void,
  ) => {
    const server = createServer((request, reply) => {
      const { method = '', url = '', headers } = request;
      hub.requests.push({
        server: name,
        method,
        path: url,
        range: headers.range,
        authorization: headers.authorization,
      });
      answer(request, reply);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  const cdnServer = await listen('cdn', (request, reply) => answerAsCdn(hub, request, reply));
  const cdn = address(cdnServer);
  const hubServer = await listen('hub', (request, reply) => answerAsHub(hub, cdn, request, reply));
  return Object.assign(hub, { endpoint: address(hubServer) });
}

/** Git's id of a blob. */
export function gitSha1(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

type State = Omit<FakeHub, 'endpoint'>;

function answerAsHub(
  hub: State,
  cdn: string,
  request: IncomingMessage,
  reply: ServerResponse,
): ServerResponse {
  const url = new URL(request.url ?? '', 'http://hub');
  const [, repositoryName = '', kind = '', revision = '', path = ''] =
    /^\/(?:api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/([^/]+)\/?(.*)$/.exec(url.pathname) ?? [];
  const repository = hub.repositories[repositoryName];
  if (!repository) return fail(reply, 401, 'RepoNotFound');
  const wanted = decodeURIComponent(revision);
  const commit = wanted === repository.commit ? wanted : repository.refs[wanted];
  if (commit === undefined) return fail(reply, 404, 'RevisionNotFound');

  const file = decodeURIComponent(path);
  const fault = takeFault(hub, kind === 'resolve' ? `hub:${file}` : kind);
  if (fault?.kind === 'status') return fail(reply, fault.status, undefined, fault.headers);
  if (fault?.kind === 'redirect') return redirect(reply, fault.location, {});
  if (kind === 'revision') return json(reply, { _id: '1', id: repositoryName, sha: commit, siblings: [] });
  if (kind === 'tree') return answerTree(hub, repository, url, request, reply);

  if (repository.gatedBy !== undefined) {
    const { authorization } = request.headers;
    if (authorization === undefined) return fail(reply, 401, 'GatedRepo');
    if (authorization !== `Bearer ${repository.gatedBy}`) return fail(reply, 403, 'GatedRepo');
  }
  const found = repository.files[file];
  if (!found) return fail(reply, 404, 'EntryNotFound');
  if (!found.lfs) {
    const headers = { 'x-repo-commit': commit, etag: `"${gitSha1(found.content)}"` };
    return serve(found.content, fault, headers, request, reply);
  }
  const linked = {
    'x-linked-etag': `"${sha256(found.content)}"`,
    'x-linked-size': String(found.content.length),
  };
  return redirect(reply, `${cdn}/${repositoryName}/${path}`, { 'x-repo-commit': commit, ...linked });
}

function answerAsCdn(hub: State, request: IncomingMessage, reply: ServerResponse): ServerResponse {
  const [, repositoryName = '', path = ''] = /^\/([^/]+\/[^/]+)\/(.*)$/.exec(request.url ?? '') ?? [];
  const file = decodeURIComponent(path);
  // Storage servers take a request that is signed in its address and carries a token too for an error.
  if (request.headers.authorization !== undefined) return fail(reply, 400);
  const found = hub.repositories[repositoryName]?.files[file];
  if (!found) return fail(reply, 404);
  const fault = takeFault(hub, `cdn:${file}`);
  if (fault?.kind === 'status') return fail(reply, fault.status, undefined, fault.headers);
  return serve(found.content, fault, { etag: `"${sha256(found.content)}"` }, request, reply);
}

function answerTree(
  hub: State,
  repository: FakeRepository,
  url: URL,
  request: IncomingMessage,
  reply: ServerResponse,
): ServerResponse {
  const entries = [...Object.entries(repository.files).map(listed), ...(repository.extraEntries ?? [])];
  const start = Number(url.searchParams.get('cursor') ?? 0);
  const end = start + hub.pageSize;
  if (end < entries.length) {
    url.searchParams.set('cursor', String(end));
    reply.setHeader('link', `<http://${request.headers.host}${url.pathname}${url.search}>; rel="next"`);
  }
  return json(reply, entries.slice(start, end));
}

function listed([path, { content, lfs }]: [string, FakeFile]): unknown {
  if (!lfs) return { type: 'file', oid: gitSha1(content), size: content.length, path };
  const oid = sha256(content);
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${content.length}\n`;
  return {
    type: 'file',
    oid: gitSha1(Buffer.from(pointer)),
    size: content.length,
    path,
    lfs: { oid, size: content.length, pointerSize: pointer.length },
  };
}

function serve(
  proper: Buffer,
  fault: Fault | undefined,
  headers: Record<string, string>,
  request: IncomingMessage,
  reply: ServerResponse,
): ServerResponse {
  const content = fault?.kind === 'replace' ? fault.content : proper;
  const range =
    fault?.kind === 'ignore-range' ? undefined : /^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1];
  const start = Number(range ?? 0) + (fault?.kind === 'shift-range' ? fault.by : 0);
  if (range !== undefined && start >= content.length) return fail(reply, 416);
  const body = content.subarray(start);
  const contentRange: Record<string, string> =
    range === undefined ? {} : { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` };
  reply.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    ...contentRange,
    'content-length': body.length,
  });
  if (request.method === 'HEAD') return reply.end();
  switch (fault?.kind) {
    case 'cut':
      reply.write(body.subarray(0, fault.after), () => reply.destroy());
      return reply;
    case 'stall':
      reply.write(body.subarray(0, fault.after));
      return reply;
    case 'gate':
      fault.gate.waiting.push(() => reply.end(body));
      if (fault.gate.waiting.length >= fault.gate.wanted) for (const go of fault.gate.waiting.splice(0)) go();
      return reply;
    default:
      return reply.end(body);
  }
}

function takeFault(hub: State, key: string): Fault | undefined {
  return hub.faults[key]?.shift();
}

function json(reply: ServerResponse, value: unknown): ServerResponse {
  reply.setHeader('content-type', 'application/json');
  return reply.end(JSON.stringify(value));
}

function redirect(reply: ServerResponse, location: string, headers: Record<string, string>): ServerResponse {
  reply.writeHead(302, { location, 'content-length': 0, ...headers });
  return reply.end();
}

function fail(
  reply: ServerResponse,
  status: number,
  code?: string,
  headers: Record<string, string> = {},
): ServerResponse {
  reply.writeHead(status, {
    'content-type': 'text/plain',
    ...(code ? { 'x-error-code': code } : {}),
    ...headers,
  });
  return reply.end(`status ${status}`);
}

function address(server: Server): string {
  const { port }: AddressInfo = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}`;
}
