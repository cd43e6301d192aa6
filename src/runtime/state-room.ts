/** Makes sure that states fit into memory before they grow: what does not fit is said in time, and does not end the process. */

import { formatBytes } from '../bytes.js';
import { UnavailableError } from '../errors.js';
import type { BatchState } from './batch-state.js';
import { freeMemory } from './free-memory.js';

/** Growth that is not worth asking for. */
const SMALL = 2 ** 26;

/** Left to a call's other values, to the head's logits, and to others. */
const SPARE = 2 ** 28;

/** What there is to be room for. */
export interface Room {
  /** Rows of state, and tokens of the longest, after a call. */
  readonly rows: number;
  readonly numTokens: number;
  /** Bytes of the call's own values. */
  readonly callBytes?: number;
}

/**
 * Makes sure that so many rows may hold so many tokens.
 * @param free bytes of memory that may still be taken; by default what this machine says.
 * @throws UnavailableError with what is needed and what there is.
 */
export async function requireStateRoom(
  state: BatchState,
  { rows, numTokens, callBytes = 0 }: Room,
  free: () => Promise<number> = freeMemory,
): Promise<void> {
  const growth = state.growth(rows, numTokens);
  const needed = growth + callBytes;
  if (needed <= SMALL) return;
  const available = await free();
  if (needed + SPARE <= available) return;
  const capacity = state.capacityFor(rows);
  const sequences = capacity === 1 ? 'one sequence' : `${capacity} sequences`;
  throw new UnavailableError(
    `There is not enough memory for ${sequences} of up to ${numTokens} tokens: the state takes ${formatBytes(state.bytes)} and needs ${formatBytes(growth)} more to grow, the call ${formatBytes(callBytes)}. ${formatBytes(available)} are free, of which ${formatBytes(SPARE)} are kept.`,
    {
      hint: 'Try a smaller --batch or shorter texts, or convert with --kv-cache int8.',
      details: { rows: capacity, num_tokens: numTokens, needed, free: available },
    },
  );
}

/** Copies of a call's scores that are there at the same time, measured: scores, with the mask, their exponentials, and what they are rounded to. */
const SCORE_COPIES = 7;

/** Bytes of the scores of attention in a call: each query of each head by each key that is stored or new, in float32. */
export function scoreBytes(rows: number, time: number, queryHeads: number, numTokens: number): number {
  return rows * time * queryHeads * (numTokens + time) * SCORE_COPIES * Float32Array.BYTES_PER_ELEMENT;
}
