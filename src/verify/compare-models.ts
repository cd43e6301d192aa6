/** How far a model's predictions are from those of another, token by token of the same text. */

import { InputError } from '../errors.js';
import type { Engine } from '../runtime/engine.js';
import { openTokenizer } from '../tokenizer/open.js';
import { Worst } from './differences.js';
import { type LogitRow, logitRows, logProbDifference, type Probe } from './logit-rows.js';
import type { CheckList } from './report.js';
import { PASSAGE, seededTokens } from './texts.js';

/** What may differ between a model and its reference. */
interface Limits {
  /** Largest difference of any token's log probability. */
  readonly logProb: number;
  /** Mean KL divergence, in nats. */
  readonly divergence: number;
  /** Share of positions at which the likeliest token is another. */
  readonly disagreement: number;
}

/** Two float32 graphs of the same weights differ by rounding alone: 2e-5 in tiny models, more where activations are large. */
const EXACT: Limits = { logProb: 1e-3, divergence: 1e-3, disagreement: 0.01 };

/**
 * Fewer bits change single tokens' log probabilities by any amount, so these are bounds on the average, wide enough for 4 bits: they
 * catch a broken model, and leave the loss of quality to be read from the numbers and from evaluations.
 */
const ROUNDED: Limits = { logProb: Number.POSITIVE_INFINITY, divergence: 0.2, disagreement: 0.25 };

/** Tokens of the random sequence. */
const RANDOM_TOKENS = 128;

/**
 * Compares two loaded models with one vocabulary.
 * @param tolerance replaces the limit on log probabilities.
 * @throws InputError where the vocabularies have different sizes, the signal's reason on abort.
 */
export async function compareModels(
  engine: Engine,
  reference: Engine,
  checks: CheckList,
  options: { readonly tolerance?: number | undefined; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const [mine, theirs] = [engine.folder.manifest, reference.folder.manifest];
  if (mine.vocab_size !== theirs.vocab_size) {
    throw new InputError(
      `${engine.folder.path} has ${mine.vocab_size} tokens and ${reference.folder.path} has ${theirs.vocab_size}: they cannot be compared.`,
    );
  }
  const isExact = mine.precision === 'fp32' && theirs.precision === 'fp32';
  const defaults = isExact ? EXACT : ROUNDED;
  const limits = { ...defaults, logProb: options.tolerance ?? defaults.logProb };
  const { probes, what } = await commonTexts(engine, reference, checks);

  const logProb = new Worst();
  let [differences, divergence, disagreements, count] = [0, 0, 0, 0];
  const theirRows = logitRows(reference, probes, { signal: options.signal });
  for await (const row of logitRows(engine, probes, { signal: options.signal })) {
    const other = (await theirRows.next()).value as LogitRow;
    logProb.add(logProbDifference(row, other), `at position ${row.position} of the ${what[row.probe]}`);
    const { meanDifference, kl } = compareDistributions(row, other);
    differences += meanDifference;
    divergence += kl;
    if (row.topId !== other.topId) disagreements++;
    count++;
  }
  const over = `over ${count} positions`;
  const mean = `mean ${(differences / count).toExponential(1)} ${over}`;
  checks.compare('log probabilities', logProb.value, limits.logProb, logProb.describe(mean));
  checks.compare('KL divergence', divergence / count, limits.divergence, `mean in nats ${over}`);
  const agreement = `the same likeliest token at ${count - disagreements} of ${count} positions`;
  checks.compare('greedy agreement', disagreements / count, limits.disagreement, agreement);
}

/** The passage where both models read it alike, and random tokens. */
async function commonTexts(
  engine: Engine,
  reference: Engine,
  checks: CheckList,
): Promise<{ probes: Probe[]; what: string[] }> {
  const tokens = [seededTokens(engine.folder.manifest.vocab_size, RANDOM_TOKENS)];
  const what = ['random tokens'];
  const [mine, theirs] = await Promise.all([engine, reference].map(passageIds));
  if (mine && theirs) {
    const alike = mine.join() === theirs.join();
    checks.decide(
      'tokenizer',
      alike,
      `${mine.length} tokens of a passage, ${alike ? 'the same' : 'not the same'} in both`,
    );
    tokens.unshift(mine);
    what.unshift('passage');
  }
  return { probes: tokens.map((ids) => ({ tokens: ids, positions: [...ids.keys()] })), what };
}

async function passageIds({ folder }: Engine): Promise<number[] | undefined> {
  const tokenizer = await openTokenizer(folder.path);
  const ids: readonly number[] | undefined = tokenizer?.encode(PASSAGE);
  // A tokenizer may know ids that the model has not; such a pair was not made by us.
  return ids?.every((id) => id < folder.manifest.vocab_size) ? [...ids] : undefined;
}

/** KL(reference || model) in nats, and the mean absolute difference of log probabilities over the vocabulary. */
function compareDistributions(row: LogitRow, reference: LogitRow): { meanDifference: number; kl: number } {
  let [total, kl] = [0, 0];
  for (let i = 0; i < row.logits.length; i++) {
    const theirs = reference.logits[i]! - reference.logSumExp;
    const difference = theirs - (row.logits[i]! - row.logSumExp);
    total += Math.abs(difference);
    kl += Math.exp(theirs) * difference;
  }
  return { meanDifference: total / row.logits.length, kl: Math.max(0, kl) };
}
