/** Finding fixed pieces (`<start_of_turn>`, `\n\n`) in text: they are taken whole and never merged with neighbours. */

import type { EncodeOptions } from './tokenizer.js';

/** A fixed piece of the vocabulary. */
export interface Marker {
  readonly text: string;
  readonly id: number;
  /** Recognised only where the caller asks for control tokens. */
  readonly control: boolean;
}

/** Cuts a text at markers: ordinary stretches as strings, markers as their ids. */
export type MarkerSplitter = (text: string, options: EncodeOptions) => (string | number)[];

/** More fixed pieces than any tokenizer known (Gemma 3 has 6 415); they become one regular expression. */
export const MAX_MARKERS = 65_536;

/** Makes a splitter that takes the leftmost, then the longest marker, as SentencePiece and Hugging Face do. */
export function markerSplitter(markers: readonly Marker[]): MarkerSplitter {
  const ids = new Map(markers.map((marker) => [marker.text, marker.id]));
  const patterns = new Map<string, RegExp | undefined>();
  return (text, { special = false, markers: visible = true }) => {
    const variant = `${special} ${visible}`;
    if (!patterns.has(variant)) {
      const wanted = markers.filter((marker) =>
        marker.control ? special : visible || isHarmless(marker.text),
      );
      patterns.set(variant, anyOf(wanted.map((marker) => marker.text)));
    }
    const pattern = patterns.get(variant);
    return pattern ? split(text, pattern, ids) : [text];
  };
}

/** Whether a marker is a run of space or one character, which mean nothing to a model that ordinary text could not. */
export function isHarmless(text: string): boolean {
  return /^[\s▁]*$/u.test(text) || [...text].length === 1;
}

/** One expression for all the texts, the longest first. Unicode mode, so that no surrogate pair is cut. */
function anyOf(texts: readonly string[]): RegExp | undefined {
  if (texts.length === 0) return undefined;
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'), 'gu');
}

function split(text: string, pattern: RegExp, ids: ReadonlyMap<string, number>): (string | number)[] {
  const parts: (string | number)[] = [];
  let from = 0;
  for (const { 0: marker, index } of text.matchAll(pattern)) {
    if (index > from) parts.push(text.slice(from, index));
    parts.push(ids.get(marker)!);
    from = index + marker.length;
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}
