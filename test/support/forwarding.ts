/** Runs token sequences through an engine in pieces, for tests that look at logits and states. */

import type { Engine } from '../../src/runtime/engine.js';

/** Logits of some positions, `[vocab]` each, and the state in row 0 stays behind. */
export async function logitsAt(
  engine: Engine,
  tokens: readonly number[],
  positions: readonly number[],
  chunk = tokens.length,
): Promise<Float32Array[]> {
  await engine.clear(0);
  const logits: Float32Array[] = [];
  for (let start = 0; start < tokens.length; start += chunk) {
    const piece = tokens.slice(start, start + chunk);
    const offsets = positions
      .map((position) => position - start)
      .filter((at) => at >= 0 && at < piece.length);
    const result = await engine.forward({
      firstRow: 0,
      tokens: [piece],
      asked: offsets.map((offset) => ({ row: 0, offset })),
      candidates: 1,
      logits: offsets.length > 0,
    });
    if (result.logits) logits.push(...splitRows(result.logits, offsets.length));
  }
  return logits;
}

/** Cuts `[count, n]` into its rows. */
export function splitRows(values: Float32Array, count: number): Float32Array[] {
  const size = values.length / count;
  return Array.from({ length: count }, (_, row) => values.subarray(row * size, (row + 1) * size));
}
