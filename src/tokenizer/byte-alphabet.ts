/** The characters that byte-level vocabularies write bytes with (GPT-2's encoder.py, `bytes_to_unicode`). */

/** By byte: printable ones of Latin-1 stand for themselves, the others for U+0100, U+0101, … in their order. */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

const BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

function byteCharacters(): string[] {
  let other = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const itself = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(itself ? byte : other++);
  });
}

/** The bytes that a piece stands for; one with a character that stands for none (an added token) is written as it is. */
export function bytesOfPiece(piece: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of piece) {
    const byte = BYTES.get(character);
    if (byte === undefined) return Buffer.from(piece);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
