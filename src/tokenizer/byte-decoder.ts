/** Bytes to text, one byte at a time, as SentencePiece reads byte-fallback pieces. */

const REPLACEMENT = '\ufffd';

/**
 * Collects bytes until they are a character of UTF-8. A byte that begins no character becomes one U+FFFD by itself,
 * as in SentencePiece (`TextDecoder` would write one for several).
 */
export class ByteDecoder {
  private readonly held: number[] = [];

  /** The text that this byte completes, or an empty string. */
  push(byte: number): string {
    this.held.push(byte);
    let text = '';
    while (this.held.length > 0) {
      const length = sequenceLength(this.held);
      if (length > this.held.length) break;
      text += length > 0 ? Buffer.from(this.held.splice(0, length)).toString() : this.drop();
    }
    return text;
  }

  /** What is left: one U+FFFD a byte. */
  end(): string {
    let text = '';
    while (this.held.length > 0) text += this.drop();
    return text;
  }

  private drop(): string {
    this.held.shift();
    return REPLACEMENT;
  }
}

/** Bytes of the character that begins here (perhaps more than there are yet), 0 where none does (RFC 3629, section 4). */
function sequenceLength([first = 0, second, ...rest]: readonly number[]): number {
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  // No overlong forms (E0, F0), no surrogates (ED), nothing above U+10FFFF (F4).
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second !== undefined && (second < least || second > most)) return 0;
  return rest.slice(0, Math.max(0, length - 2)).every((byte) => byte >= 0x80 && byte <= 0xbf) ? length : 0;
}
