/**
 * Skims a MessagePack file: its structure is read, its byte strings are only located. Libraries read the whole file into one
 * buffer, which a checkpoint with all its arrays inside does not fit into.
 * Source: the MessagePack specification (github.com/msgpack/msgpack, spec.md).
 */

import { type FileHandle, open } from 'node:fs/promises';
import { Damage } from './damage.js';
import { type FileRange, reading } from './stored-value.js';

/** A value; byte strings and extensions are left in the file. */
export type Packed =
  | null
  | boolean
  | string
  | PackedNumber
  | PackedBytes
  | readonly Packed[]
  | ReadonlyMap<string, Packed>;

/** A number, with the kind that the file gives it. */
export interface PackedNumber {
  readonly kind: 'integer' | 'float';
  readonly value: number | bigint;
}

/** Where a byte string lies, or the payload of an extension, whose type is then given. */
export interface PackedBytes extends FileRange {
  readonly extension?: number;
}

/** Bytes held at once, and so the longest string that is read; longer ones are located like byte strings. */
const WINDOW_BYTES = 64 * 1024;

/** Values in one file: a checkpoint has a few for each array. */
const MAX_VALUES = 2 ** 20;

/** Maps in maps: a parameter tree has some ten levels. */
const MAX_DEPTH = 64;

/** Reads the one value in a range of a file. Throws {@link Damage} where it is not MessagePack, or not all there. */
export async function skimMessagePack(range: FileRange): Promise<Packed> {
  const handle = await reading(range.file, () => open(range.file, 'r'));
  try {
    const skim = new Skim(handle, range);
    const value = await skim.value(0);
    if (skim.left > 0) throw new Damage(`${skim.left} bytes follow its MessagePack data`);
    return value;
  } finally {
    await handle.close();
  }
}

class Skim {
  readonly #handle: FileHandle;
  readonly #range: FileRange;
  #at: number;
  #window = new DataView(new ArrayBuffer(0));
  #windowStart = 0;
  #values = 0;

  constructor(handle: FileHandle, range: FileRange) {
    this.#handle = handle;
    this.#range = range;
    this.#at = range.offset;
  }

  get left(): number {
    return this.#range.offset + this.#range.length - this.#at;
  }

  async value(depth: number): Promise<Packed> {
    if (++this.#values > MAX_VALUES || depth > MAX_DEPTH)
      throw new Damage('its MessagePack data have no end');
    const type = await this.#number(1, 'getUint8');
    if (type < 0x80) return integer(type);
    if (type < 0x90) return this.#map(type & 0x0f, depth);
    if (type < 0xa0) return this.#list(type & 0x0f, depth);
    if (type < 0xc0) return this.#string(type & 0x1f);
    if (type >= 0xe0) return integer(type - 0x100);
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return type === 0xc3;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#bytes(await this.#length(type - 0xc4));
      case 0xc7:
      case 0xc8:
      case 0xc9: {
        const length = await this.#length(type - 0xc7);
        return this.#bytes(length, await this.#number(1, 'getInt8'));
      }
      case 0xca:
        return { kind: 'float', value: await this.#number(4, 'getFloat32') };
      case 0xcb:
        return { kind: 'float', value: await this.#number(8, 'getFloat64') };
      case 0xcc:
        return integer(await this.#number(1, 'getUint8'));
      case 0xcd:
        return integer(await this.#number(2, 'getUint16'));
      case 0xce:
        return integer(await this.#number(4, 'getUint32'));
      case 0xcf:
        return integer(await this.#number(8, 'getBigUint64'));
      case 0xd0:
        return integer(await this.#number(1, 'getInt8'));
      case 0xd1:
        return integer(await this.#number(2, 'getInt16'));
      case 0xd2:
        return integer(await this.#number(4, 'getInt32'));
      case 0xd3:
        return integer(await this.#number(8, 'getBigInt64'));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8: {
        const extension = await this.#number(1, 'getInt8');
        return this.#bytes(2 ** (type - 0xd4), extension);
      }
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#string(await this.#length(type - 0xd9));
      case 0xdc:
      case 0xdd:
        return this.#list(await this.#length(type - 0xdc + 1), depth);
      case 0xde:
      case 0xdf:
        return this.#map(await this.#length(type - 0xde + 1), depth);
    }
    throw new Damage('it is not MessagePack');
  }

  async #map(count: number, depth: number): Promise<ReadonlyMap<string, Packed>> {
    const map = new Map<string, Packed>();
    for (let index = 0; index < count; index++) {
      const key = await this.value(depth + 1);
      const name = isNumber(key) ? String(key.value) : key;
      if (typeof name !== 'string') throw new Damage('a key in its MessagePack data is not text');
      map.set(name, await this.value(depth + 1));
    }
    return map;
  }

  async #list(count: number, depth: number): Promise<readonly Packed[]> {
    const list: Packed[] = [];
    for (let index = 0; index < count; index++) list.push(await this.value(depth + 1));
    return list;
  }

  async #string(length: number): Promise<string | PackedBytes> {
    if (length > WINDOW_BYTES) return this.#bytes(length);
    const { buffer, byteOffset } = await this.#take(length);
    return new TextDecoder().decode(new Uint8Array(buffer, byteOffset, length));
  }

  #bytes(length: number, extension?: number): PackedBytes {
    if (length > this.left) throw new Damage('its MessagePack data end too early', { truncated: true });
    const offset = this.#at;
    this.#at += length;
    return { file: this.#range.file, offset, length, ...(extension === undefined ? {} : { extension }) };
  }

  /** A length of 1, 2 or 4 bytes. */
  #length(sizeLog2: number): Promise<number> {
    if (sizeLog2 === 0) return this.#number(1, 'getUint8');
    return sizeLog2 === 1 ? this.#number(2, 'getUint16') : this.#number(4, 'getUint32');
  }

  /** A number of that many bytes, big-endian. */
  async #number<M extends keyof DataView & `get${string}`>(
    bytes: number,
    read: M,
  ): Promise<ReturnType<DataView[M]>> {
    const view = await this.#take(bytes);
    return view[read](0) as ReturnType<DataView[M]>;
  }

  /** The next bytes, at most {@link WINDOW_BYTES}. */
  async #take(length: number): Promise<DataView> {
    if (length > this.left) throw new Damage('its MessagePack data end too early', { truncated: true });
    if (this.#at < this.#windowStart || this.#at + length > this.#windowStart + this.#window.byteLength) {
      const bytes = new Uint8Array(Math.min(WINDOW_BYTES, this.left));
      const { bytesRead } = await reading(this.#range.file, () =>
        this.#handle.read(bytes, 0, bytes.length, this.#at),
      );
      if (bytesRead < length) throw new Damage('its MessagePack data end too early', { truncated: true });
      this.#window = new DataView(bytes.buffer, 0, bytesRead);
      this.#windowStart = this.#at;
    }
    const view = new DataView(this.#window.buffer, this.#at - this.#windowStart, length);
    this.#at += length;
    return view;
  }
}

function integer(value: number | bigint): PackedNumber {
  return { kind: 'integer', value };
}

/** Narrows to a number. */
export function isNumber(value: Packed): value is PackedNumber {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

/** Narrows to a byte string or an extension. */
export function isBytes(value: Packed): value is PackedBytes {
  return typeof value === 'object' && value !== null && 'file' in value;
}
