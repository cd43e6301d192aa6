/** What Python's libraries said (scripts/fixtures/tokenizer.py, scripts/train/prepare_data.py), and random numbers with a seed. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { TokenId } from '../../src/tokenizer/tokenizer.js';

/** The folder of fixtures. */
export const FIXTURES = path.join(import.meta.dirname, '../../fixtures');

/** The folder with the Factbook's `tokenizer.model`, trained with Gemma's options. */
export const FACTBOOK = path.join(FIXTURES, 'factbook/griffin');

/** 194 kB of English text. */
export const heldout = (): string => readFileSync(path.join(FIXTURES, 'factbook/heldout.txt'), 'utf8');

export const recordedBytes = (name: string): Buffer => readFileSync(path.join(FIXTURES, 'tokenizer', name));

export const recordedJson = <T>(name: string): T => JSON.parse(recordedBytes(name).toString('utf8')) as T;

/** A text, its ids, and what they decode to. */
export interface Encoded {
  readonly text: string;
  readonly ids: TokenId[];
  readonly decoded: string;
}

/** Ids and the text that they decode to. */
export interface Decoded {
  readonly ids: TokenId[];
  readonly text: string;
}

/** Mulberry32: numbers in [0, 1) that a seed decides. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
