/** How far a model's predictions are from those of another, token by token of the same text. */

import { InputError } from '../errors.js';
import type { Precision } from '../quantize/precision.js';
import { Engine } from '../runtime/engine.js';
import { openTokenizer } from '../tokenizer/open.js';
import { Worst } from './differences.js';
import { klDivergence, type LogitRow, logitRows, logProbDifference } from './logit-rows.js';
import type { CheckList } from './report.js';
import { coarser, roundingOf } from './rounding.js';
import { PASSAGE, seededTokens } from './texts.js';

/** What the comparison of two models gives. */
export interface Comparison {
  /** Positions at which their predictions were compared. */
  readonly tokens: number;
  /** Mean KL(reference || model), in nats. */
  readonly klDivergence: number;
  /** Share of positions at which both find the same token likeliest. */
  readonly greedyAgreement: number;
  /** The model's perplexity of the text over the reference's. */
  readonly perplexityRatio: number;
}

/** How a comparison goes about it. */
export interface CompareModelsOptions {
  /** CPU threads. */
  readonly threads?: number | undefined;
  /** Replaces the limit on log probabilities. */
  readonly tolerance?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What may differ between a model and its reference. */
interface Limits {
  /** Largest difference of any token's log probability. */
  readonly logProb: number;
  /** Mean KL divergence, in nats. */
  readonly divergence: number;
  /** Share of positions at which the likeliest token is another. */
  readonly disagreement: number;
}

/**
 * Two float32 graphs of the same weights differ by rounding alone: 2e-5 in tiny models, more where activations are large. Fewer bits change single tokens' log
 * probabilities by any amount, so their limits are on averages, some five times what the small trained models show (KL divergence 9e-4 in int8, 0.06 in int4): they catch
 * a broken model, and leave the loss of quality to be read from the numbers and from evaluations.
 */
const LIMITS: Readonly<Record<Precision, Limits>> = {
  fp32: { logProb: 1e-3, divergence: 1e-3, disagreement: 0.01 },
  fp16: { logProb: Number.POSITIVE_INFINITY, divergence: 1e-3, disagreement: 0.05 },
  int8: { logProb: Number.POSITIVE_INFINITY, divergence: 0.02, disagreement: 0.1 },
  int4: { logProb: Number.POSITIVE_INFINITY, divergence: 0.3, disagreement: 0.4 },
};

/** Tokens of the random sequence. */
const RANDOM_TOKENS = 128;

/** Tokens of a call: few, so that most keys and values come from the rings, as they do while text is generated. */
const CHUNK = 16;

/**
 * Compares a loaded model with another of the same vocabulary, on a passage where both have the same tokenizer, else on random tokens.
 * @param path the other's folder.
 * @throws InputError where it cannot be loaded or the vocabularies have different sizes, the signal's reason on abort.
 */
export async function compareWithModel(
  engine: Engine,
  path: string,
  checks: CheckList,
  options: CompareModelsOptions = {},
): Promise<Comparison> {
  const reference = await Engine.load(path, { threads: options.threads, signal: options.signal });
  try {
    return await compareModels(engine, reference, checks, options);
  } finally {
    await reference.close();
  }
}

async function compareModels(
  engine: Engine,
  reference: Engine,
  checks: CheckList,
  { tolerance, signal }: CompareModelsOptions,
): Promise<Comparison> {
  const [mine, theirs] = [engine.folder.manifest, reference.folder.manifest];
  if (mine.vocab_size !== theirs.vocab_size) {
    throw new InputError(
      `${engine.folder.path} has ${mine.vocab_size} tokens and ${reference.folder.path} has ${theirs.vocab_size}: they cannot be compared.`,
    );
  }
  const { what, tokens } = await commonText(engine, reference, checks);
  const probes = [{ tokens, positions: [...tokens.keys()] }];
  const feed = { chunk: CHUNK, signal };

  const logProb = new Worst();
  let [divergence, agreements, logRatio] = [0, 0, 0];
  const theirRows = logitRows(reference, probes, feed);
  for await (const row of logitRows(engine, probes, feed)) {
    const other = (await theirRows.next()).value as LogitRow;
    logProb.add(logProbDifference(row, other), `at position ${row.position}`);
    divergence += klDivergence(row, other);
    if (row.topId === other.topId) agreements++;
    const next = tokens[row.position + 1];
    if (next !== undefined) logRatio += logProbOf(other, next) - logProbOf(row, next);
  }
  const count = tokens.length;
  const comparison = {
    tokens: count,
    klDivergence: divergence / count,
    greedyAgreement: agreements / count,
    perplexityRatio: Math.exp(logRatio / (count - 1)),
  };
  const limits = LIMITS[coarser(roundingOf(mine), roundingOf(theirs))];
  const over = `${count} positions of ${what}`;
  checks.compare('log probabilities', logProb.value, tolerance ?? limits.logProb, logProb.describe(over));
  checks.compare('KL divergence', comparison.klDivergence, limits.divergence, `mean in nats over ${over}`);
  const agreement = `the same likeliest token at ${agreements} of ${over}`;
  checks.compare('greedy agreement', 1 - comparison.greedyAgreement, limits.disagreement, agreement);
  const perplexity = `${comparison.perplexityRatio.toFixed(4)} times the other's on ${what}`;
  checks.compare(
    'perplexity',
    Math.abs(comparison.perplexityRatio - 1),
    Number.POSITIVE_INFINITY,
    perplexity,
  );
  return comparison;
}

function logProbOf({ logits, logSumExp }: LogitRow, token: number): number {
  return logits[token]! - logSumExp;
}

/** The passage where both models read it alike, else random tokens. */
async function commonText(
  engine: Engine,
  reference: Engine,
  checks: CheckList,
): Promise<{ what: string; tokens: readonly number[] }> {
  const [mine, theirs] = await Promise.all([engine, reference].map(passageIds));
  if (mine && theirs) {
    const alike = mine.join() === theirs.join();
    const text = `${mine.length} tokens of a passage, ${alike ? 'the same' : 'not the same'} in both`;
    checks.decide('tokenizer', alike, text);
    if (alike) return { what: 'the passage', tokens: mine };
  }
  const { vocab_size: vocabSize } = engine.folder.manifest;
  return { what: 'random tokens', tokens: seededTokens(vocabSize, RANDOM_TOKENS) };
}

async function passageIds({ folder }: Engine): Promise<readonly number[] | undefined> {
  const tokenizer = await openTokenizer(folder.path);
  const ids: readonly number[] | undefined = tokenizer?.encode(PASSAGE);
  // A tokenizer may know ids that the model has not; such a pair was not made by us.
  return ids?.every((id) => id < folder.manifest.vocab_size) ? ids : undefined;
}
