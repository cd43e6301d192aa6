/** Runs many sequences in a few rows: a row is free as soon as its sequence is over, and the next one takes its place at once. */

import { sum } from '../sum.js';
import { PREFILL_CHUNK, planCall } from './call-plan.js';
import type { Engine } from './engine.js';
import type { AskedRow, ForwardRequest, ForwardResult } from './forward.js';
import type { RunStats } from './run-stats.js';
import type { Sequence } from './sequence.js';
import { isSharedPrefix, type SharedPrefix, withSharedPrefixes } from './shared-prefix.js';
import { WaitingList } from './waiting-list.js';

/** How sequences are run. */
export interface ScheduleOptions {
  /** Sequences that run together. */
  readonly batch: number;
  /** What the head is asked for. */
  readonly needs: Pick<ForwardRequest, 'candidates' | 'logits'>;
  /** Most tokens of one sequence that a call takes. */
  readonly chunk?: number | undefined;
  readonly stats?: RunStats | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What there is to say of one sequence: answers, or that all of it was fed. */
export interface Report<S> {
  readonly sequence: S;
  /** Its row of the engine, until the next reports. */
  readonly row: number;
  /** Without any, all of it was fed. */
  readonly answers?: Answers;
  /** When it got its row, and when the call began that this is the outcome of: milliseconds of `performance.now()`. */
  readonly entered: number;
  readonly began: number;
}

/** Entries `first` to `first + count` of a result: what comes after a sequence's next tokens that are asked about. */
export interface Answers {
  readonly result: ForwardResult;
  readonly first: number;
  readonly count: number;
}

/** Logits that one call may compute, so that memory stays bounded: 128 MiB of float32. */
const MAX_LOGITS = 2 ** 25;

/** Rows of state that a run of `batch` sequences needs, those included that are filled ahead: see {@link schedule}. */
export function rowsOf(batch: number): number {
  return batch === 1 ? 1 : 2 * batch;
}

/** How many positions of a call may be asked about. */
export function maxAsked(engine: Engine): number {
  return Math.max(1, Math.floor(MAX_LOGITS / engine.folder.manifest.vocab_size));
}

/**
 * Runs sequences in the first rows of the engine and tells of what comes, call by call. Whoever takes a report may add tokens to its sequence, which goes on
 * then; one to which nothing is added when all of it was fed is over. When a row is to be filled, as many again as run are filled ahead: long
 * prompts that are prefilled together cost less, and the rows that run stand still less often.
 *
 * What a sequence gives does not depend on the others: to the bit in int8, but for the order of sums in float32, and in int4 but for onnxruntime's rounding.
 * @throws the signal's reason between two calls.
 */
export async function* schedule<S extends Sequence>(
  engine: Engine,
  sequences: Iterable<S> | AsyncIterable<S>,
  options: ScheduleOptions,
): AsyncGenerator<readonly Report<S>[]> {
  const waiting = new WaitingList(withSharedPrefixes(sequences));
  const rows: Row<S | SharedPrefix>[] = [];
  for (;;) {
    options.signal?.throwIfAborted();
    if (rows.length < options.batch) await fill(engine, rows, waiting, options);
    if (rows.length === 0) return;
    const began = performance.now();
    const answers = rows.some(({ left }) => left === 0)
      ? new Map<number, Answers>()
      : await call(engine, rows, await isCrowded(rows, waiting, options), options);
    const reports = rows.flatMap(({ sequence, left, entered }, row): Report<S> | [] => {
      const own = answers.get(row);
      if (isSharedPrefix(sequence) || (left > 0 && !own)) return [];
      return { sequence, row, entered, began, ...(own && { answers: own }) };
    });
    if (reports.length > 0) yield reports;
    await leave(engine, rows);
  }
}

/** A sequence in its row. */
class Row<S extends Sequence> {
  readonly entered = performance.now();
  /** Tokens that it came with. */
  readonly #given: number;

  /** @param fed tokens of the sequence that the row's state has seen. */
  constructor(
    readonly sequence: S,
    public fed: number,
  ) {
    this.#given = sequence.tokens.length;
  }

  get left(): number {
    return this.sequence.tokens.length - this.fed;
  }

  /** Tokens before the next one that is asked about. */
  get silent(): number {
    return Math.max(0, this.sequence.askFrom - this.fed);
  }

  /** Of the next tokens, those that the sequence came with. */
  givenOf(length: number): number {
    return Math.max(0, Math.min(length, this.#given - this.fed));
  }

  /** The places that are asked about among the next tokens. */
  asked(length: number, row: number): AskedRow[] {
    const { askFrom, targets } = this.sequence;
    return Array.from({ length: Math.max(0, length - this.silent) }, (_, i) => {
      const offset = this.silent + i;
      const target = targets?.[this.fed + offset - askFrom];
      return { row, offset, ...(target !== undefined && { target }) };
    });
  }
}

/** Gives rows to those that wait. Those with most to be fed come last, so that calls of their own take neighbours. */
async function fill<S extends Sequence>(
  engine: Engine,
  rows: Row<S>[],
  waiting: WaitingList<S>,
  { batch, stats }: ScheduleOptions,
): Promise<void> {
  const coming: Row<S>[] = [];
  while (rows.length + coming.length < rowsOf(batch)) {
    const sequence = await waiting.next();
    if (!sequence) break;
    coming.push(new Row(sequence, sequence.start?.tokens ?? 0));
  }
  coming.sort((a, b) => a.left - b.left);
  for (const row of coming) {
    const { sequence, fed } = row;
    if (sequence.start?.state) await engine.import(rows.length, sequence.start.state);
    else await engine.clear(rows.length);
    sequence.start = undefined;
    rows.push(row);
    if (stats) stats.sharedTokens += isSharedPrefix(sequence) ? -row.left : fed;
  }
}

/** Whether more sequences wait for a row than the batch has free rows. */
async function isCrowded<S extends Sequence>(
  rows: readonly Row<S>[],
  waiting: WaitingList<S>,
  { batch }: ScheduleOptions,
): Promise<boolean> {
  const running = rows.filter(({ sequence }) => !isSharedPrefix(sequence)).length;
  return waiting.hasMoreThan(Math.max(0, batch - running));
}

/** Runs the next call; answers by row. */
async function call(
  engine: Engine,
  rows: readonly Row<Sequence>[],
  crowded: boolean,
  { batch, needs, chunk = PREFILL_CHUNK, stats }: ScheduleOptions,
): Promise<Map<number, Answers>> {
  const { firstRow, lengths } = planCall(rows, { batch, chunk, asked: maxAsked(engine) });
  const parts = lengths.map((length, i) => ({ row: rows[firstRow + i]!, length }));
  const asked = parts.map(({ row, length }, i) => row.asked(length, i));
  const began = performance.now();
  const result = await engine.forward({
    firstRow,
    tokens: parts.map(({ row: { sequence, fed }, length }) => sequence.tokens.slice(fed, fed + length)),
    asked: asked.flat(),
    ...needs,
  });
  stats?.add({
    rows: lengths.filter((length) => length > 0).length,
    tokens: sum(lengths),
    promptTokens: sum(parts.map(({ row, length }) => row.givenOf(length))),
    milliseconds: performance.now() - began,
    crowded,
  });

  const answers = new Map<number, Answers>();
  let first = 0;
  for (const [i, { row, length }] of parts.entries()) {
    row.fed += length;
    const count = asked[i]!.length;
    if (count > 0) answers.set(firstRow + i, { result, first, count });
    first += count;
  }
  return answers;
}

/** Frees the rows of those that are over: the last row moves into the gap. */
async function leave(engine: Engine, rows: Row<Sequence>[]): Promise<void> {
  // From the last row down, so that the row that moves is never one that is over itself.
  for (let row = rows.length - 1; row >= 0; row--) {
    const { sequence, left } = rows[row]!;
    if (left > 0) continue;
    if (isSharedPrefix(sequence)) sequence.gives.state = await engine.export(row);
    const last = rows.pop()!;
    if (row === rows.length) continue;
    await engine.copy(rows.length, row);
    rows[row] = last;
  }
}
