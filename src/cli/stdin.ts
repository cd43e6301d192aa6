/** What another program, or a person, writes to stdin. */

import { addAbortSignal, type Readable } from 'node:stream';
import { InputError } from '../errors.js';

/** Longer prompts belong into a file. */
const MAX_STDIN_BYTES = 64 * 2 ** 20;

/**
 * All of stdin as text, without the one line end that `echo` adds.
 * @param signal ends the waiting for more.
 * @throws InputError for more than 64 MiB.
 */
export async function readStdin(signal: AbortSignal, stdin: Readable = process.stdin): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of addAbortSignal(signal, stdin)) {
    chunks.push(Buffer.from(chunk as Buffer));
    bytes += chunks.at(-1)!.byteLength;
    if (bytes > MAX_STDIN_BYTES) throw new InputError(`stdin has more than ${MAX_STDIN_BYTES} bytes.`);
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
