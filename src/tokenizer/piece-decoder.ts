/** Decodes pieces with `▁` for space and `<0xNN>` for bytes, as Gemma, Llama 2 and Mistral have them. */

import { ByteDecoder } from './byte-decoder.js';
import { byteOf, PieceKind, SPACE } from './pieces.js';
import type { StreamingDecoder, TokenId } from './tokenizer.js';

/** What decoding needs to know of a vocabulary. */
export interface PieceSurfaces {
  /** By id. */
  readonly pieces: readonly string[];
  /** By id. */
  readonly kinds: readonly PieceKind[];
  /** What to drop at the beginning of a decoded text: one space (added when encoding), every space, or nothing. */
  readonly dropLeading: 'one' | 'all' | 'none';
  /** How the unknown piece is written. */
  readonly unknownSurface: string;
  /** Whether a space that is written as its byte is dropped too, as by Hugging Face's `Strip` and unlike SentencePiece. */
  readonly dropsByte: boolean;
}

/** Decodes ids one by one. */
export class PieceDecoder implements StreamingDecoder {
  private readonly bytes = new ByteDecoder();
  /** Whether a leading space would still be dropped. */
  private atStart: boolean;

  constructor(
    private readonly surfaces: PieceSurfaces,
    private readonly options: { readonly skipSpecial: boolean },
  ) {
    this.atStart = surfaces.dropLeading !== 'none';
  }

  push(id: TokenId): string {
    const piece = this.surfaces.pieces[id] ?? '';
    const byte = this.surfaces.kinds[id] === PieceKind.byte ? byteOf(piece) : undefined;
    if (byte !== undefined) return this.ofBytes(this.bytes.push(byte));
    return this.end() + this.seen(this.surface(id, piece));
  }

  end(): string {
    return this.seen(this.bytes.end());
  }

  private seen(text: string): string {
    if (text !== '') this.atStart = false;
    return text;
  }

  private ofBytes(text: string): string {
    const drops = text === ' ' && this.atStart && this.surfaces.dropsByte;
    return this.seen(text).slice(drops ? 1 : 0);
  }

  private surface(id: TokenId, piece: string): string {
    const kind = this.surfaces.kinds[id];
    if (kind === PieceKind.control) return this.options.skipSpecial ? '' : piece;
    if (kind === PieceKind.unknown) return this.surfaces.unknownSurface;
    let text = piece;
    if (this.atStart && text.startsWith(SPACE)) {
      text = text.slice(1);
      this.atStart = this.surfaces.dropLeading === 'all';
    }
    return text.replaceAll(SPACE, ' ');
  }
}
