/** Does a model say the same however it is fed: at once or in pieces, alone or in a batch, before and after its state was saved? */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { slotLimit } from '../models/state-tensor.js';
import type { Engine } from '../runtime/engine.js';
import { loadState, saveState } from '../runtime/saved-state.js';
import { Worst } from './differences.js';
import {
  type FeedOptions,
  klDivergence,
  type LogitRow,
  logitRows,
  logProbDifference,
  type Probe,
} from './logit-rows.js';
import type { CheckList } from './report.js';
import { roundingOf, roundsValues } from './rounding.js';
import { seededTokens, spreadPositions } from './texts.js';

/** Log probabilities may differ by this much where only the order of additions does. */
const TOLERANCE = 1e-4;

/**
 * Mean KL divergence, in nats, where values are rounded to eight bits on the way: a float32 sum that differs in its last bit moves one of them across an edge now and then,
 * and the state carries the whole step on. Single log probabilities then differ by up to 0.35 in small trained models, but the predictions on average by no more than 7e-4,
 * less than int8 costs; with two states mixed up it is 0.05 and more.
 */
const ROUNDED_TOLERANCE = 5e-3;

/** The graph adds up a log-sum-exp in float32: 1e-4 off where 256,000 tokens are about equally likely. */
const HEAD_TOLERANCE = 1e-3;

/** Windows up to this are gone past, so that rings wrap around; beyond, the time it takes is out of proportion. */
const LARGEST_WINDOW_TRIED = 512;
const TOKENS_PAST_WINDOW = 128;
/** Past the first slots, and into the second block of a cache. */
const TOKENS_WITHOUT_WINDOW = 320;

/** Floats of logits that are kept of one sequence: 16 MiB. A large vocabulary is looked at in fewer places. */
const KEPT_LOGITS = 2 ** 22;

/** Runs all checks of this kind. @throws the signal's reason on abort. */
export async function checkSelfConsistency(
  engine: Engine,
  checks: CheckList,
  signal: AbortSignal | undefined,
): Promise<void> {
  const probe = consistencyProbe(engine);
  const whole = await gather(engine, [probe], { signal });
  checkHead(whole, checks);
  for (const [name, chunk] of [
    ['chunks of 64', 64],
    ['chunks of 7', 7],
    ['token by token', 1],
  ] as const) {
    const text = `${probe.tokens.length} tokens, the same as in one call`;
    const differences = await compareRows(whole, logitRows(engine, [probe], { chunk, signal }));
    checkAgreement(engine, checks, name, differences, text);
  }
  await checkRaggedBatch(engine, probe, checks, signal);
  await checkSavedState(engine, probe, checks, signal);
}

/** Random tokens, more than the attention window where that is small, and the positions to compare at. */
function consistencyProbe({ folder: { manifest } }: Engine): Probe {
  const windows = manifest.state.flatMap((tensor) => (tensor.kind === 'ring' ? slotLimit(tensor) : []));
  const window = Math.max(0, ...windows);
  const length =
    window > 0 && window <= LARGEST_WINDOW_TRIED ? window + TOKENS_PAST_WINDOW : TOKENS_WITHOUT_WINDOW;
  return withPositions(seededTokens(manifest.vocab_size, length), manifest.vocab_size);
}

function withPositions(tokens: readonly number[], vocabSize: number): Probe {
  const count = Math.max(8, Math.floor(KEPT_LOGITS / vocabSize));
  return { tokens, positions: spreadPositions(tokens.length, count) };
}

/** The head gives the likeliest token and the log-sum-exp by themselves; they must be those of the whole row. */
function checkHead(rows: readonly LogitRow[], checks: CheckList): void {
  const worst = new Worst();
  for (const { position, logits, logSumExp, topId } of rows) {
    const highest = logits.reduce((max, logit) => Math.max(max, logit), Number.NEGATIVE_INFINITY);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - highest), 0);
    worst.add(Math.abs(highest + Math.log(sum) - logSumExp), `at position ${position}`);
    worst.add(Math.abs(highest - logits[topId]!), `at position ${position}`);
  }
  const text = `finite logits at ${rows.length} positions, with their likeliest token and log-sum-exp`;
  checks.compare('head', worst.value, HEAD_TOLERANCE, worst.describe(text));
}

/** Three sequences of different lengths side by side must each give what they give alone. */
async function checkRaggedBatch(
  engine: Engine,
  probe: Probe,
  checks: CheckList,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { tokens } = probe;
  const vocabSize = engine.folder.manifest.vocab_size;
  const half = withPositions(tokens.slice(3, 3 + (tokens.length >> 1)), vocabSize);
  const few = withPositions(tokens.slice(9, 14), vocabSize);
  const batch = [few, probe, half];
  const alone: LogitRow[] = [];
  for (const [i, each] of batch.entries()) {
    const rows = await gather(engine, [each], { signal });
    alone.push(...rows.map((row) => ({ ...row, probe: i })));
  }
  const lengths = batch.map((each) => each.tokens.length).join(', ');
  const text = `rows of ${lengths} tokens together, the same as each alone`;
  const differences = await compareRows(alone, logitRows(engine, batch, { chunk: 64, signal }));
  checkAgreement(engine, checks, 'ragged batch', differences, text);
}

/** Rows must be those expected, as far as the model's rounding lets them. */
function checkAgreement(
  { folder }: Engine,
  checks: CheckList,
  name: string,
  { worst, divergence }: Differences,
  text: string,
): void {
  if (roundsValues(roundingOf(folder.manifest))) {
    checks.compare(name, divergence, ROUNDED_TOLERANCE, `${text}, by mean KL divergence in nats`);
  } else {
    checks.compare(name, worst.value, TOLERANCE, worst.describe(text));
  }
}

/** A state that went through a file must go on as the one that stayed in memory, to the bit, whatever its new row held before. */
async function checkSavedState(
  engine: Engine,
  { tokens }: Probe,
  checks: CheckList,
  signal: AbortSignal | undefined,
): Promise<void> {
  const split = Math.ceil((2 * tokens.length) / 3);
  const first: Probe = { tokens: tokens.slice(0, split), positions: [] };
  const rest = withPositions(tokens.slice(split), engine.folder.manifest.vocab_size);
  const folder = await mkdtemp(join(tmpdir(), 'recgemma-verify-'));
  try {
    await gather(engine, [first], { chunk: 64, signal });
    const file = join(folder, 'state.safetensors');
    await saveState(file, engine.folder, { row: await engine.export(0), pendingIds: [] });
    const stayed = await gather(engine, [rest], { chunk: 16, continued: true, signal });

    const state = await loadState(file, engine.folder);
    await engine.import(1, state.row);
    const feed = { firstRow: 1, chunk: 16, continued: true, signal };
    const { worst } = await compareRows(stayed, logitRows(engine, [rest], feed));
    const text = `saved after ${split} tokens, loaded, and gone on with for ${rest.tokens.length}`;
    checks.compare('saved state', worst.value, 0, worst.describe(text));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function gather(engine: Engine, probes: readonly Probe[], options: FeedOptions): Promise<LogitRow[]> {
  const rows: LogitRow[] = [];
  for await (const row of logitRows(engine, probes, options)) rows.push(row);
  return rows;
}

/** How far rows are from those expected. */
interface Differences {
  /** Of single log probabilities. */
  readonly worst: Worst;
  /** Mean KL divergence, in nats. */
  readonly divergence: number;
}

/** Compares rows with those expected at the same positions. */
async function compareRows(
  expected: readonly LogitRow[],
  rows: AsyncIterable<LogitRow>,
): Promise<Differences> {
  const known = new Map(expected.map((row) => [`${row.probe} ${row.position}`, row]));
  const worst = new Worst();
  let [divergence, count] = [0, 0];
  for await (const row of rows) {
    const other = known.get(`${row.probe} ${row.position}`);
    worst.add(other ? logProbDifference(row, other) : Number.NaN, `at position ${row.position}`);
    divergence += other ? klDivergence(row, other) : Number.NaN;
    count++;
  }
  return { worst, divergence: divergence / count };
}
