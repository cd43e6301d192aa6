/** The kinds of a vocabulary's pieces, and how they are written. */

/** SentencePiece's `ModelProto.SentencePiece.Type`. */
export const PieceKind = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;
export type PieceKind = (typeof PieceKind)[keyof typeof PieceKind];

/** Ids stay below this, so that two of them fit into one exact number; the largest vocabularies have 2^18 pieces. */
export const MAX_PIECES = 2 ** 20;

/** U+2581, which stands for a space inside pieces. */
export const SPACE = '\u2581';

/** The byte that a byte-fallback piece (`<0x0A>`) stands for. */
export function byteOf(piece: string): number | undefined {
  return /^<0x[0-9A-F]{2}>$/.test(piece) ? Number(piece.slice(1, -1)) : undefined;
}

/**
 * The ids that write each byte, or undefined where one is missing. A byte that is a character may be written as that:
 * Gemma's `tokenizer.json` has a tab in the place of `<0x09>`.
 */
export function byteFallbackIds(idOf: (piece: string) => number | undefined): number[] | undefined {
  const ids = Array.from({ length: 256 }, (_, byte) => {
    const piece = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    return idOf(piece) ?? (byte < 0x80 ? idOf(String.fromCharCode(byte)) : undefined);
  });
  return ids.every((id) => id !== undefined) ? ids : undefined;
}
