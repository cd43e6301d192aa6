/** How many sequences may run together: as many as were asked for, or as many as memory allows. */

import { formatBytes } from '../bytes.js';
import { UnavailableError } from '../errors.js';
import { folderBytes, readModelFolder } from '../manifest.js';
import { stateBytes } from '../models/state-tensor.js';
import { freeMemory } from './free-memory.js';
import { rowsOf } from './scheduler.js';

/** More sequences than this gain little on a CPU: reading the weights is then a small part of the work. */
export const LARGEST_AUTO_BATCH = 64;

/** Of the memory that the weights leave free, the share that states may take unasked: the rest is for a call's own values, copies of states, and others. */
const STATE_SHARE = 1 / 2;

/** What is known when a batch is chosen. */
export interface BatchOptions {
  /** As asked for; undefined leaves it to memory. */
  readonly batch?: number | undefined;
  /** Sequences that there are to run, as far as they have been counted: twice the batch is far enough. */
  readonly sequences: number;
  /** Tokens of the longest of them, as far as can be told beforehand; without it, the longest that the model was made for. */
  readonly tokens?: number | undefined;
  /** Bytes of memory that are free before the weights are loaded; by default what this machine says. */
  readonly free?: number | undefined;
}

/** A chosen batch, and what it means. */
export interface BatchSize {
  /** Sequences that run together. */
  readonly batch: number;
  /** Rows of state that are held for them: up to twice as many, for those that are filled ahead. */
  readonly rows: number;
  /** Bytes of one row's state, when it has seen all its tokens. */
  readonly rowBytes: number;
}

/**
 * Chooses the batch for a model folder: never more than there are sequences.
 * @throws UnavailableError where the states of the batch that was asked for do not fit beside the weights.
 */
export async function chooseBatch(
  path: string,
  { batch: wanted, sequences, tokens, free: given }: BatchOptions,
): Promise<BatchSize> {
  const { manifest } = await readModelFolder(path);
  const weights = folderBytes(manifest);
  const rowBytes = stateBytes(manifest.state, tokens);
  const free = Math.max(0, (given ?? (await freeMemory())) - weights);
  const rowsFor = (batch: number) => Math.max(1, Math.min(rowsOf(batch), sequences));
  const sized = (batch: number): BatchSize => ({ batch, rows: rowsFor(batch), rowBytes });
  const largest = (most: number, bytes: number): number => {
    let batch = most;
    while (batch > 1 && rowsFor(batch) * rowBytes > bytes) batch--;
    return batch;
  };
  const most = Math.max(1, Math.min(wanted ?? LARGEST_AUTO_BATCH, sequences));
  if (wanted === undefined) return sized(largest(most, free * STATE_SHARE));
  const fitting = largest(most, free);
  if (fitting === most && rowsFor(most) * rowBytes <= free) return sized(most);
  const needed = rowsFor(most) * rowBytes;
  throw new UnavailableError(
    `A batch of ${most} needs ${formatBytes(needed)}: ${rowsFor(most)} states of ${formatBytes(rowBytes)}. Beside the weights, ${formatBytes(free)} of memory are free.`,
    {
      hint:
        rowsFor(fitting) * rowBytes > free
          ? 'Shorter texts, or a model with --kv-cache int8, need less.'
          : `Try --batch ${fitting}, or leave --batch out.`,
      details: { batch: most, needed, free },
    },
  );
}
