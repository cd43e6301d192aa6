/** Makes sure that states fit into memory before they grow: what does not fit is said in time, and does not end the process. */

import { formatBytes } from '../bytes.js';
import { UnavailableError } from '../errors.js';
import type { BatchState } from './batch-state.js';
import { freeMemory } from './free-memory.js';

/** Growth that is not worth asking for. */
const SMALL = 2 ** 26;

/** Left to a call's own values, to the head's logits, and to others. */
const SPARE = 2 ** 28;

/**
 * Makes sure that so many rows may hold so many tokens.
 * @param free bytes of memory that may still be taken; by default what this machine says.
 * @throws UnavailableError with what is needed and what there is.
 */
export async function requireStateRoom(
  state: BatchState,
  rows: number,
  numTokens: number,
  free: () => Promise<number> = freeMemory,
): Promise<void> {
  const needed = state.growth(rows, numTokens);
  if (needed <= SMALL) return;
  const available = await free();
  if (needed + SPARE <= available) return;
  throw new UnavailableError(
    `There is not enough memory for the state of ${Math.max(rows, state.rows)} sequences, the longest of ${numTokens} tokens: it takes ${formatBytes(state.bytes)} and needs ${formatBytes(needed)} more to grow. ${formatBytes(available)} are free, of which ${formatBytes(SPARE)} are kept for the calls themselves.`,
    {
      hint: 'Try a smaller --batch or shorter texts, or convert with --kv-cache int8.',
      details: { rows, num_tokens: numTokens, needed, free: available },
    },
  );
}
