/** Puts the elements of a tensor that is stored transposed, sliced or repeated into row-major order. */

import { PIECE_BYTES } from '../file-range.js';

/** How a tensor's elements lie in the span of bytes that was read for it; all counts in elements. */
export interface StridedLayout {
  readonly itemBytes: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

/** Yields the elements in row-major order, in pieces that share one buffer; `span` begins with the first element. */
export function* gather(span: ArrayBuffer, layout: StridedLayout): Generator<Uint8Array, void, undefined> {
  const { Words, shape, stride } = asWords(layout);
  const source = new Words(span);
  const total = shape.reduce((product, size) => product * size, 1);
  if (total === 0) return;
  const piece = new Words(Math.min(total, PIECE_BYTES / Words.BYTES_PER_ELEMENT));

  const outer = shape.slice(0, -1);
  const rowLength = shape.at(-1) ?? 1;
  const step = stride.at(-1) ?? 1;
  const position = outer.map(() => 0);
  let row = 0;
  let filled = 0;
  for (let done = 0; done < total; ) {
    for (let index = 0; index < rowLength; ) {
      const run = Math.min(rowLength - index, piece.length - filled);
      const first = row + index * step;
      for (let item = 0; item < run; item++) piece[filled + item] = source[first + item * step]!;
      index += run;
      filled += run;
      if (filled === piece.length) {
        yield new Uint8Array(piece.buffer);
        filled = 0;
      }
    }
    done += rowLength;
    // The next row: the innermost of the outer axes that can still count up does, and those within it start again.
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      row += stride[axis]!;
      if (++position[axis]! < outer[axis]!) break;
      row -= outer[axis]! * stride[axis]!;
      position[axis] = 0;
    }
  }
  if (filled > 0) yield new Uint8Array(piece.buffer, 0, filled * Words.BYTES_PER_ELEMENT);
}

/** Elements as words that can be copied as they are: one of 8 bytes is a pair of 4, since a copied double may change its NaN. */
function asWords({ itemBytes, shape, stride }: StridedLayout) {
  if (itemBytes === 8) {
    return { Words: Uint32Array, shape: [...shape, 2], stride: [...stride.map((step) => step * 2), 1] };
  }
  return { Words: { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[itemBytes] ?? Uint8Array, shape, stride };
}
