/** What the tests of checkpoint readers share: a tensor's dtype, shape and hash, as the Python scripts record them. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';

/** A path under fixtures/. */
export function fixture(path: string): string {
  return fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));
}

/** A JSON file under fixtures/, objects as lists of their entries (a tensor may be called `__proto__`). */
export async function jsonFixture(path: string): Promise<Map<string, unknown>> {
  const root: unknown = JSON.parse(await readFile(fixture(path), 'utf8'));
  return entries(root);
}

/** The entries of a JSON object. */
export function entries(value: unknown): Map<string, unknown> {
  return new Map(Object.entries(value as object));
}

/** Every tensor of a checkpoint as `[dtype, shape, the first 32 hex digits of its SHA-256]`. */
export async function digests(checkpoint: Checkpoint): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (const [name, tensor] of checkpoint.tensors) {
    const hash = createHash('sha256');
    for await (const piece of tensor.read()) hash.update(piece);
    found.set(name, [tensor.dtype, tensor.shape, hash.digest('hex').slice(0, 32)]);
  }
  return found;
}

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
