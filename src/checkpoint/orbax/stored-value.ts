/** Stored values: where the bytes of a key lie, and how to read them whole or piece by piece. */

import { open, stat } from 'node:fs/promises';
import { InputError } from '../../errors.js';
import { Damage } from './damage.js';

/** A range of a file, in bytes. */
export interface FileRange {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** A value that is already in memory, or one that waits in a file. */
export type StoredValue = { readonly bytes: Uint8Array } | FileRange;

/** A database of values by key: a folder of files, or an OCDBT database. Keys are paths with `/`. */
export interface KeyValueStore {
  readonly entries: ReadonlyMap<string, StoredValue>;
  /** Files that say where the values are: the database's own structure. */
  readonly structureFiles: readonly string[];
}

/** Bytes read from a file at once: large enough for a disk's full speed, small enough for hundreds of open chunks. */
const PIECE_BYTES = 256 * 1024;

/** Size of a value in bytes. */
export function valueLength(value: StoredValue): number {
  return 'bytes' in value ? value.bytes.length : value.length;
}

/** A part of a value; throws {@link Damage} where the value is too short for it. */
export function sliceValue(value: StoredValue, from: number, length: number): StoredValue {
  if (from + length > valueLength(value)) throw new Damage('it ends too early', { truncated: true });
  if ('bytes' in value) return { bytes: value.bytes.subarray(from, from + length) };
  return { file: value.file, offset: value.offset + from, length };
}

/** The whole of a small value; throws {@link Damage} where it is larger than `limit` bytes. */
export async function readValue(value: StoredValue, limit: number): Promise<Uint8Array> {
  const length = valueLength(value);
  if (length > limit) throw new Damage(`it has ${length} bytes, more than the ${limit} that make sense here`);
  if ('bytes' in value) return value.bytes;
  const whole = new Uint8Array(length);
  let at = 0;
  for await (const piece of streamValue(value)) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** The bytes of a value in order, in fresh pieces; throws {@link Damage} where the file ends before the value does. */
export async function* streamValue(value: StoredValue): AsyncGenerator<Uint8Array> {
  if ('bytes' in value) {
    if (value.bytes.length > 0) yield value.bytes;
    return;
  }
  const handle = await reading(value.file, () => open(value.file, 'r'));
  try {
    let done = 0;
    while (done < value.length) {
      const piece = new Uint8Array(Math.min(PIECE_BYTES, value.length - done));
      const { bytesRead } = await reading(value.file, () =>
        handle.read(piece, 0, piece.length, value.offset + done),
      );
      if (bytesRead === 0) throw new Damage(`the file "${value.file}" ends too early`, { truncated: true });
      yield piece.subarray(0, bytesRead);
      done += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** Size of a file in bytes, or undefined where there is no file of that name. */
export async function fileSize(file: string): Promise<number | undefined> {
  try {
    const found = await stat(file);
    return found.isFile() ? found.size : undefined;
  } catch {
    return undefined;
  }
}

/** Runs a file operation; what the operating system refuses becomes an {@link InputError} that names the file. */
export async function reading<T>(file: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(`The file "${file}" cannot be read: ${reason}.`, {
      details: { file },
      cause: error,
    });
  }
}
