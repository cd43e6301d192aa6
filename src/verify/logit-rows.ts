/** Runs token sequences through a model side by side, and gives the logits at the positions asked for, one row at a time. */

import type { Engine } from '../runtime/engine.js';
import { largestDifference } from './differences.js';

/** A sequence and where its logits are wanted. */
export interface Probe {
  readonly tokens: readonly number[];
  /** Ascending; position p is what the model says after token p. */
  readonly positions: readonly number[];
}

/** The logits at one position. */
export interface LogitRow {
  /** Which of the probes. */
  readonly probe: number;
  readonly position: number;
  /** `[vocab]`. */
  readonly logits: Float32Array;
  /** What the graph itself says of this row. */
  readonly logSumExp: number;
  readonly topId: number;
}

/** How {@link logitRows} feeds the tokens. */
export interface FeedOptions {
  /** The first row of the state that is used; default 0. */
  readonly firstRow?: number;
  /** Tokens that one call takes of each sequence; by default all. */
  readonly chunk?: number;
  /** Goes on from the state that the rows have; by default they are cleared. */
  readonly continued?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Floats of logits that one call may give back: 16 MiB, of which a few copies live at once. Longer calls are cut, down to one token. */
const MAX_LOGITS = 2 ** 22;

/** Gives rows in the order in which the calls reach them. @throws the signal's reason between two calls. */
export async function* logitRows(
  engine: Engine,
  probes: readonly Probe[],
  options: FeedOptions = {},
): AsyncGenerator<LogitRow> {
  const { firstRow = 0, signal } = options;
  const vocabSize = engine.folder.manifest.vocab_size;
  const longest = Math.max(...probes.map(({ tokens }) => tokens.length));
  if (!options.continued) for (const i of probes.keys()) await engine.clear(firstRow + i);
  for (let start = 0, length = 0; start < longest; start += length) {
    signal?.throwIfAborted();
    length = options.chunk ?? longest;
    let asked = askedIn(probes, start, start + length);
    while (length > 1 && asked.length * vocabSize > MAX_LOGITS) {
      length >>= 1;
      asked = askedIn(probes, start, start + length);
    }
    const result = await engine.forward({
      firstRow,
      tokens: probes.map(({ tokens }) => tokens.slice(start, start + length)),
      asked: asked.map(({ probe, position }) => ({ row: probe, offset: position - start })),
      candidates: 1,
      logits: asked.length > 0,
    });
    for (const [i, { probe, position }] of asked.entries()) {
      const logits = result.logits!.subarray(i * vocabSize, (i + 1) * vocabSize);
      yield { probe, position, logits, logSumExp: result.logSumExp[i]!, topId: result.topIds[i]! };
    }
  }
}

function askedIn(
  probes: readonly Probe[],
  start: number,
  end: number,
): { readonly probe: number; readonly position: number }[] {
  return probes.flatMap(({ positions }, probe) =>
    positions
      .filter((position) => position >= start && position < end)
      .map((position) => ({ probe, position })),
  );
}

/** The largest difference of two rows' log probabilities, over the whole vocabulary. */
export function logProbDifference(a: LogitRow, b: LogitRow): number {
  return largestDifference(a.logits, b.logits, a.logSumExp - b.logSumExp);
}

/** KL(reference || row) in nats: what is lost by taking the row's predictions for the reference's. */
export function klDivergence(row: LogitRow, reference: LogitRow): number {
  let sum = 0;
  for (let i = 0; i < row.logits.length; i++) {
    const theirs = reference.logits[i]! - reference.logSumExp;
    sum += Math.exp(theirs) * (theirs - (row.logits[i]! - row.logSumExp));
  }
  return Math.max(0, sum);
}
