/** A cursor over the bytes of an OCDBT manifest or node: the few number forms that the format has. */

import { Damage } from './damage.js';

/** What {@link ByteCursor.varint} gives for 2^64-1, by which OCDBT says "no such thing". */
export const MISSING = -1;

/** LEB128 spends 7 bits a byte: a 64-bit number takes ten bytes at most. */
const MAX_VARINT_BYTES = 10;

/** Reads numbers and byte strings one after another; running out of bytes throws {@link Damage}. */
export class ByteCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  bytes(length: number): Uint8Array {
    if (length > this.left) throw new Damage('it ends in the middle of a field');
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  byte(): number {
    return this.bytes(1)[0]!;
  }

  uint32BigEndian(): number {
    this.bytes(4);
    return this.#view.getUint32(this.#at - 4);
  }

  /** A 64-bit size; values beyond 2^53 are no sizes of anything. */
  uint64(): number {
    this.bytes(8);
    return safe(this.#view.getBigUint64(this.#at - 8, true));
  }

  /** An unsigned LEB128 number, or {@link MISSING} for 2^64-1. */
  varint(): number {
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index++) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return value === 0xffff_ffff_ffff_ffffn ? MISSING : safe(value);
    }
    throw new Damage('one of its numbers has more than 64 bits');
  }

  /** A number that must be a size or an index, not {@link MISSING}. */
  size(): number {
    const value = this.varint();
    if (value === MISSING) throw new Damage('one of its sizes is missing');
    return value;
  }

  /** A count of things of which each takes at least one of the bytes left: so it bounds what a reader allocates. */
  count(minimum: number, maximum: number): number {
    const value = this.size();
    if (value < minimum || value > maximum) throw new Damage(`it counts ${value} entries`);
    if (value > this.left) throw new Damage(`it counts ${value} entries, but only ${this.left} bytes follow`);
    return value;
  }

  /** OCDBT stores lists field by field: one column is `count` values of one field. */
  column<T>(count: number, read: () => T): T[] {
    return Array.from({ length: count }, read);
  }

  end(): void {
    if (this.left > 0) throw new Damage(`${this.left} bytes follow its last field`);
  }
}

function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Damage('one of its numbers is absurdly large');
  return Number(value);
}
