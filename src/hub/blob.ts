/** Downloading one file's content: resumed where it broke off, checked, and only then given its final name. */

import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { InputError, InterruptedError, UnavailableError } from '../errors.js';
import { get, type HubAnswer, type HubClient } from './client.js';
import { statusFailure, TransientFailure } from './failure.js';
import type { HubFile } from './hub-file.js';
import { claimPartial, releasePartial } from './partial.js';
import { withRetries } from './retries.js';

const READ_BYTES = 2 ** 20;

/** A file being received: what is on disk, and the checksum of just that. */
interface Reception {
  readonly file: HubFile;
  readonly handle: FileHandle;
  hash: Hash;
  received: number;
  /** The most that was ever received: a server that starts again from nothing each time makes no progress. */
  furthest: number;
  readonly onReceived: (bytes: number) => void;
}

/**
 * Downloads `file` at `commit` to `blob`. What has come stays beside it, for the next run, unless its content is wrong.
 *
 * @param onReceived told the bytes on disk so far; it may go back, where a server cannot resume.
 * @throws InputError for content other than the listing promised, UnavailableError for what the network, the licence or
 * the disk refuses, InterruptedError on abort.
 */
export async function downloadBlob(
  client: HubClient,
  commit: string,
  file: HubFile,
  blob: string,
  onReceived: (bytes: number) => void,
): Promise<void> {
  const partial = await claimPartial(blob);
  try {
    const handle = await open(partial.path, constants.O_RDWR | constants.O_CREAT, 0o644);
    try {
      const reception: Reception = {
        file,
        handle,
        hash: emptyHash(file),
        received: 0,
        furthest: 0,
        onReceived,
      };
      await adopt(reception, partial.size, client.signal);
      const resumed = reception.received > 0;
      await receiveAll(client, commit, reception);
      if (!(await isIntact(reception)) && resumed) {
        // The part from the earlier run may be what is wrong.
        await restart(reception);
        await receiveAll(client, commit, reception);
      }
      if (!(await isIntact(reception))) {
        await restart(reception);
        throw wrongContent(client, file);
      }
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(partial.path, blob);
  } finally {
    await releasePartial(blob, partial.path);
  }
}

async function receiveAll(client: HubClient, commit: string, reception: Reception): Promise<void> {
  const path = reception.file.path.split('/').map(encodeURIComponent).join('/');
  const url = `${client.endpoint}/${client.repository}/resolve/${commit}/${path}`;
  await withRetries(
    async () => {
      if (reception.received === reception.file.size) return;
      // Compression would make the byte positions of the answer other than those of the file.
      const range: Record<string, string> =
        reception.received > 0 ? { range: `bytes=${reception.received}-` } : {};
      await get(client, url, { 'accept-encoding': 'identity', ...range }, (answer) =>
        receive(answer, client, reception),
      );
    },
    {
      policy: client.retry,
      signal: client.signal,
      reached: () => reception.furthest,
      retryUnreachable: true,
    },
  );
}

async function receive(answer: HubAnswer, client: HubClient, reception: Reception): Promise<void> {
  const { file } = reception;
  const { response, body } = answer;
  if (response.status === 416) {
    await restart(reception);
    throw cut(client, reception, 'the server could not go on from there');
  }
  if (!response.ok) throw statusFailure(answer, client, file.path);
  checkAnnounced(answer, client, file);
  const start = startOf(response);
  if (start !== reception.received) await restart(reception);
  if (start !== 0 && reception.received === 0)
    throw cut(client, reception, 'another part was sent than was asked for');

  for await (const chunk of body) {
    if (reception.received + chunk.length > file.size) {
      await restart(reception);
      throw wrongContent(client, file);
    }
    await append(reception, chunk);
  }
  if (reception.received < file.size) throw cut(client, reception, 'the answer ended early');
}

/** Where the answer's content begins: a server may ignore the range it was asked for and send everything. */
function startOf(response: Response): number {
  if (response.status !== 206) return 0;
  const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
  return start === undefined ? Number.NaN : Number(start);
}

/** The hub announces a large file's checksum and size before it sends us to it: gigabytes saved where they are wrong. */
function checkAnnounced({ hubHeaders }: HubAnswer, client: HubClient, file: HubFile): void {
  const etag = hubHeaders.get('x-linked-etag')?.replace(/^(W\/)?"|"$/g, '');
  const size = hubHeaders.get('x-linked-size');
  const differs = etag !== undefined && file.digest.algorithm === 'sha256' && etag !== file.digest.hex;
  if (differs || (size !== null && Number(size) !== file.size)) throw wrongContent(client, file);
}

async function append(reception: Reception, chunk: Uint8Array): Promise<void> {
  // At a stated position: were another program to append to the file, this would still write every byte of it.
  let written = 0;
  while (written < chunk.length) {
    const position = reception.received + written;
    const { bytesWritten } = await reception.handle.write(chunk, written, chunk.length - written, position);
    written += bytesWritten;
  }
  reception.hash.update(chunk);
  reception.received += chunk.length;
  reception.furthest = Math.max(reception.furthest, reception.received);
  reception.onReceived(reception.received);
}

/** Takes up the bytes that are on disk already. */
async function adopt(reception: Reception, size: number, signal: AbortSignal): Promise<void> {
  if (size > reception.file.size) return restart(reception);
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  while (reception.received < size) {
    if (signal.aborted) throw new InterruptedError();
    const { bytesRead } = await reception.handle.read(buffer, 0, READ_BYTES, reception.received);
    if (bytesRead === 0) break;
    reception.hash.update(buffer.subarray(0, bytesRead));
    reception.received += bytesRead;
  }
  reception.furthest = reception.received;
  reception.onReceived(reception.received);
}

async function restart(reception: Reception): Promise<void> {
  await reception.handle.truncate(0);
  reception.hash = emptyHash(reception.file);
  reception.received = 0;
  reception.onReceived(0);
}

async function isIntact({ file, handle, hash }: Reception): Promise<boolean> {
  return (await handle.stat()).size === file.size && hash.copy().digest('hex') === file.digest.hex;
}

/** Git's blob id is the SHA-1 of a header and the content (git-hash-object, "object format"). */
function emptyHash({ digest, size }: HubFile): Hash {
  return digest.algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

function cut(client: HubClient, { file, received }: Reception, reason: string): TransientFailure {
  const message = `${file.path} of ${client.repository} came only to ${received} of ${file.size} bytes: ${reason}.`;
  return new TransientFailure(
    new UnavailableError(message, { hint: 'Run the same command again to go on.' }),
  );
}

function wrongContent(client: HubClient, file: HubFile): InputError {
  const kind = file.digest.algorithm === 'sha256' ? 'SHA-256' : 'git SHA-1';
  const message = `${file.path} of ${client.repository} came with other content than ${client.endpoint} lists for it (${file.size} bytes, ${kind} ${file.digest.hex}); it has been deleted.`;
  return new InputError(message, {
    hint: 'Try again later, or without a mirror or proxy in between.',
    details: { file: file.path, size: file.size, digest: file.digest.hex },
  });
}
