/** Reads a pickle's opcodes and arguments, never beyond the bytes that are there. */

import { InputError } from '../../errors.js';

/** Longest integer, in bytes: sizes take 8, the file's magic number 10; a long one costs quadratic time. */
const MAX_INTEGER_BYTES = 64;

/** Longest line of a text argument: the name of a module, of a class, or a decimal number. */
const MAX_LINE_BYTES = 1024;

const NEWLINE = 0x0a;

/** A cursor over a pickle; every method throws InputError where the pickle ends too early. */
export class PickleReader {
  position: number;
  private readonly view: DataView;
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(
    private readonly data: Uint8Array,
    start: number,
    private readonly where: string,
  ) {
    this.position = start;
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  opcode(): string {
    return String.fromCharCode(this.uint8());
  }

  uint8(): number {
    return this.view.getUint8(this.take(1));
  }

  uint16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  int32(): number {
    return this.view.getInt32(this.take(4), true);
  }

  /** The one argument that is big-endian. */
  float64(): number {
    return this.view.getFloat64(this.take(8));
  }

  /** An unsigned length or index of 4 or 8 bytes. One too large for the file is caught where its bytes are taken. */
  length(bytes: 4 | 8): number {
    const at = this.take(bytes);
    return bytes === 4 ? this.view.getUint32(at, true) : Number(this.view.getBigUint64(at, true));
  }

  bytes(length: number): Uint8Array {
    const at = this.take(length);
    return this.data.subarray(at, at + length);
  }

  text(length: number): string {
    return this.decoder.decode(this.bytes(length));
  }

  /** Text of Python 2. */
  latin1(length: number): string {
    const bytes = this.bytes(length);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  }

  /** A two's-complement little-endian integer. */
  long(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) throw this.fail(`has an integer of ${length} bytes`);
    let value = 0n;
    for (const byte of this.bytes(length).toReversed()) value = (value << 8n) | BigInt(byte);
    return plainInteger(BigInt.asIntN(length * 8, value));
  }

  line(): string {
    const end = this.data.indexOf(NEWLINE, this.position);
    const length = end - this.position;
    if (end === -1 || length > MAX_LINE_BYTES) throw this.fail('has a line without an end');
    const text = this.text(length);
    this.position++;
    return text;
  }

  /** A decimal integer, or `00` and `01`, which protocol 1 wrote for False and True. */
  integerLine(): number | bigint | boolean {
    const line = this.line();
    if (line === '00' || line === '01') return line === '01';
    const digits = line.replace(/L$/, '');
    if (!/^-?\d+$/.test(digits) || digits.length > 2 * MAX_INTEGER_BYTES)
      throw this.fail('has a number that is none');
    return plainInteger(BigInt(digits));
  }

  fail(problem: string): InputError {
    return new InputError(`The pickle in ${this.where} ${problem} (at byte ${this.position}).`, {
      hint: 'The file is damaged, or was not written by torch.save.',
      details: { file: this.where, position: this.position },
    });
  }

  private take(length: number): number {
    const at = this.position;
    if (length > this.data.length - at) throw this.fail('ends too early');
    this.position = at + length;
    return at;
  }
}

function plainInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
