/** Flips bytes of good files: a reader may then succeed or throw InputError, and nothing else. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { InputError } from '../../src/errors.js';
import { digests, seededRandom } from './digests.js';

/** How a file is damaged. */
export interface Damage {
  readonly folder: string;
  readonly rounds: number;
  readonly seed: number;
  /** Only the first bytes, where headers lie, are flipped. */
  readonly within?: number;
}

/** Opens and reads damaged copies of a file; gives how many were refused, and throws what is not an InputError. */
export async function fuzz(
  source: string,
  open: (path: string) => Promise<Checkpoint>,
  { folder, rounds, seed, within = Number.POSITIVE_INFINITY }: Damage,
): Promise<number> {
  const good = await readFile(source);
  const random = seededRandom(seed);
  const path = join(folder, 'damaged');
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    const bad = Buffer.from(good);
    const flips = 1 + Math.floor(random() * 4);
    const flipped: string[] = [];
    for (let flip = 0; flip < flips; flip++) {
      const at = Math.floor(random() * Math.min(within, bad.length));
      bad[at] = Math.floor(random() * 256);
      flipped.push(`${at}=${bad[at]}`);
    }
    const length = random() < 0.1 ? Math.floor(random() * bad.length) : bad.length;
    await writeFile(path, bad.subarray(0, length));
    try {
      const checkpoint = await open(path);
      await digests(checkpoint).finally(() => checkpoint.close());
    } catch (error) {
      if (!(error instanceof InputError)) {
        throw new Error(`${source}: bytes ${flipped.join(' ')}, length ${length}`, { cause: error });
      }
      refused++;
    }
  }
  return refused;
}
