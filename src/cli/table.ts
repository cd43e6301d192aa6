/** Plain tables: columns aligned by spaces, nothing else, so that `cut`, `awk` and eyes can read them. */

import { stripVTControlCharacters } from 'node:util';

/** A table's cell. Numbers are aligned at the right. */
export type Cell = string | number;

/** `header` and `rows` in aligned columns, two spaces apart; a column of which every cell is a number is aligned right. */
export function formatTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const isNumeric = header.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'));
  const lines = [header, ...rows].map((cells) => header.map((_, i) => String(cells[i] ?? '')));
  const widths = header.map((_, i) => Math.max(...lines.map((line) => displayWidth(line[i]!))));
  return lines
    .map((line) =>
      line
        .map((text, i) => {
          const padding = ' '.repeat(widths[i]! - displayWidth(text));
          return isNumeric[i] ? padding + text : text + padding;
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const INVISIBLE = /^[\p{Mark}\p{Control}\p{Format}]+$/u;
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u;
const graphemes = new Intl.Segmenter();

/** How many columns of a terminal `text` takes: East Asian wide characters and emoji take two, marks and colours none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(stripVTControlCharacters(text))) {
    width += INVISIBLE.test(segment) ? 0 : WIDE.test(segment) ? 2 : 1;
  }
  return width;
}
