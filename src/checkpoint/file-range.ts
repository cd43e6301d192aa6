/** Reading byte ranges of a file: exactly, or as a stream of large pieces read one ahead. */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { InputError } from '../errors.js';

/** Size of a streamed piece: large enough that the disk sets the pace, small enough that two of them cost nothing. */
export const PIECE_BYTES = 4 * 2 ** 20;

/** A file opened for reading at any offset. */
export interface RangeFile {
  /** The path as it was given: what messages call the file. */
  readonly path: string;
  /** Bytes at the time of opening. */
  readonly size: number;
  readonly handle: FileHandle;
}

/** Opens a regular file; throws InputError if there is none that can be read. */
export async function openRangeFile(path: string): Promise<RangeFile> {
  let handle: FileHandle | undefined;
  try {
    // Non-blocking, so that a named pipe without a writer cannot hold the process here for ever.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = await handle.stat();
    if (!stats.isFile()) throw new InputError(`${path} is not a file.`);
    return { path, size: stats.size, handle };
  } catch (error) {
    await handle?.close();
    throw error instanceof InputError ? error : unreadable(path, error);
  }
}

/** Reads exactly `length` bytes from `start`; `what` names them in the InputError for a file that ends too early. */
export async function readRange(
  file: RangeFile,
  start: number,
  length: number,
  what: string,
): Promise<Buffer<ArrayBuffer>> {
  checkRange(file, start, length, what);
  return fill(file, Buffer.allocUnsafeSlow(length), start, what);
}

/**
 * Streams `length` bytes from `start` in pieces of at most `PIECE_BYTES`, the last one shorter. Two buffers take turns: while the
 * receiver works on one piece the next is being read into the other, so a piece is valid only until the next is asked for.
 */
export async function* streamRange(
  file: RangeFile,
  start: number,
  length: number,
  what: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  checkRange(file, start, length, what);
  const buffers = [0, 1].map((turn) => {
    return Buffer.allocUnsafeSlow(Math.max(0, Math.min(PIECE_BYTES, length - turn * PIECE_BYTES)));
  });
  const readPiece = (index: number) => {
    const bytes = Math.min(PIECE_BYTES, length - index * PIECE_BYTES);
    const piece = fill(file, buffers[index % 2]!.subarray(0, bytes), start + index * PIECE_BYTES, what);
    piece.catch(() => {}); // a failure is thrown where the piece is awaited, not as an unhandled rejection
    return piece;
  };
  const count = Math.ceil(length / PIECE_BYTES);
  if (count === 0) return;
  let next = readPiece(0);
  try {
    for (let index = 0; index < count; index++) {
      const piece = await next;
      if (index + 1 < count) next = readPiece(index + 1);
      yield piece;
    }
  } finally {
    await next.catch(() => {}); // a receiver that stops early must not leave a read behind in a file about to be closed
  }
}

function checkRange(file: RangeFile, start: number, length: number, what: string): void {
  const inside = start >= 0 && length >= 0 && start + length <= file.size;
  if (!inside) throw endsEarly(file, start + length, what);
}

async function fill(
  file: RangeFile,
  buffer: Buffer<ArrayBuffer>,
  position: number,
  what: string,
): Promise<Buffer<ArrayBuffer>> {
  for (let filled = 0; filled < buffer.length; ) {
    const { bytesRead } = await file.handle
      .read(buffer, filled, buffer.length - filled, position + filled)
      .catch((error: unknown) => {
        throw unreadable(file.path, error);
      });
    if (bytesRead === 0) throw endsEarly(file, position + buffer.length, what);
    filled += bytesRead;
  }
  return buffer;
}

function endsEarly(file: RangeFile, needed: number, what: string): InputError {
  return new InputError(`${file.path} ends before ${what} does: it would have to be ${needed} bytes long.`, {
    hint: 'The file was probably cut off while it was downloaded or copied; get it again.',
    details: { file: file.path, size: file.size, needed },
  });
}

function unreadable(path: string, cause: unknown): InputError {
  const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  const message = reason === 'ENOENT' ? `There is no file ${path}.` : `Cannot read ${path} (${reason}).`;
  return new InputError(message, { cause, details: { file: path } });
}
