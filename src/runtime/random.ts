/** Seeded random numbers, one independent stream for each sequence, so that a text does not depend on its neighbours. */

/** Gives numbers uniform in [0, 1). */
export type Random = () => number;

/** A stream named by a seed and, under it, by any further whole numbers (prompt, sample). */
export function createRandom(seed: number, ...stream: readonly number[]): Random {
  const bits = createRandomBits(seed, ...stream);
  // 53 bits: as many as a double holds.
  return () => ((bits() >>> 5) * 2 ** 26 + (bits() >>> 6)) / 2 ** 53;
}

/** The same stream as 32 random bits at a time, in a signed integer. xoshiro128** (Blackman and Vigna, 2018). */
export function createRandomBits(seed: number, ...stream: readonly number[]): () => number {
  const next = splitmix32([seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, ...stream]);
  let [a, b, c, d] = [next(), next(), next(), next()];
  return () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** Spreads words over a generator's first state (the finaliser of MurmurHash3, as in splitmix). */
function splitmix32(words: readonly number[]): () => number {
  let state = 0;
  const next = () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return z ^ (z >>> 16);
  };
  for (const word of words) {
    state ^= word;
    state = next();
  }
  return next;
}
