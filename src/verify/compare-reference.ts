/** Does a model do what its checkpoint's reference outputs say? */

import { InputError } from '../errors.js';
import type { Engine } from '../runtime/engine.js';
import { generate } from '../runtime/generate.js';
import { score } from '../runtime/score.js';
import { tokenId } from '../tokenizer/tokenizer.js';
import { compareStates } from './compare-states.js';
import { largestDifference, Worst } from './differences.js';
import { logitRows } from './logit-rows.js';
import type { Reference, ReferenceGreedy } from './reference-file.js';
import type { CheckList } from './report.js';

/** Float32 on another machine by another library; tiny models agree within 1e-5. */
const LOGIT_TOLERANCE = 5e-4;
const LIKELIHOOD_TOLERANCE = 1e-3;

/** What is common to all comparisons. */
export interface CompareOptions {
  /** Replaces the limit on logits and on the log probabilities of greedy tokens. */
  readonly tolerance?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Checks everything that the reference holds.
 * @throws InputError where it does not fit itself or the vocabulary, the signal's reason on abort.
 */
export async function compareWithReference(
  engine: Engine,
  reference: Reference,
  checks: CheckList,
  options: CompareOptions = {},
): Promise<void> {
  await compareLogits(engine, reference, checks, options);
  await compareStates(engine, reference, checks, options.signal);
  const alone = reference.prompts.flatMap(({ name, tokens, greedy }) =>
    greedy ? [{ name, tokens, greedy }] : [],
  );
  await compareGreedy(engine, 'greedy', alone, 1, checks, options);
  const ragged = reference.ragged.map((each, i) => ({ ...each, name: `prompt ${i}` }));
  await compareGreedy(engine, 'greedy in a batch', ragged, ragged.length, checks, options);
  await compareLikelihoods(engine, reference, checks, options.signal);
}

async function compareLogits(
  engine: Engine,
  reference: Reference,
  checks: CheckList,
  { tolerance = LOGIT_TOLERANCE, signal }: CompareOptions,
): Promise<void> {
  const vocabSize = engine.folder.manifest.vocab_size;
  const worst = new Worst();
  let [prompts, rows] = [0, 0];
  for (const { name, tokens, logits } of reference.prompts) {
    if (!logits) continue;
    const { positions } = logits;
    checkPositions(reference.path, name, positions, tokens.length);
    const { values } = await reference.read(logits.tensor, [positions.length, vocabSize]);
    for await (const row of logitRows(engine, [{ tokens, positions }], { signal })) {
      const at = positions.indexOf(row.position) * vocabSize;
      const difference = largestDifference(row.logits, values.subarray(at, at + vocabSize));
      worst.add(difference, `in ${name} at position ${row.position}`);
      rows++;
    }
    prompts++;
  }
  if (prompts === 0) return;
  // Another config explains at once why nothing agrees.
  const reasons = worst.value <= tolerance ? [] : configDifferences(engine, reference);
  const detail = [worst.describe(`${rows} positions of ${prompts} prompts`), ...reasons].join('; ');
  checks.compare('logits', worst.value, tolerance, detail);
}

function checkPositions(path: string, name: string, positions: readonly number[], length: number): void {
  const fits = positions.every(
    (position, i) => Number.isInteger(position) && position > (positions[i - 1] ?? -1) && position < length,
  );
  if (fits) return;
  throw new InputError(`${path}: the logit_positions of ${name} are not ascending positions of its tokens.`);
}

function configDifferences({ folder: { manifest } }: Engine, { config }: Reference): string[] {
  return Object.entries(config)
    .filter(([field, value]) => value !== null && manifest.config[field] !== undefined)
    .map(([field, value]) => [field, JSON.stringify(manifest.config[field]), JSON.stringify(value)] as const)
    .filter(([, mine, theirs]) => mine !== theirs)
    .map(([field, mine, theirs]) => `its ${field} is ${mine}, the reference's ${theirs}`);
}

/** A continuation to reproduce, and how messages name it. */
interface Continuation {
  readonly name: string;
  readonly tokens: readonly number[];
  readonly greedy: ReferenceGreedy;
}

/** Generates as the runtime does, and compares every token and its log probability. */
async function compareGreedy(
  engine: Engine,
  check: string,
  continuations: readonly Continuation[],
  batch: number,
  checks: CheckList,
  { tolerance = LOGIT_TOLERANCE, signal }: CompareOptions,
): Promise<void> {
  if (continuations.length === 0) return;
  const different: string[] = [];
  const worst = new Worst();
  const maxTokens = Math.max(...continuations.map(({ greedy }) => greedy.tokens.length));
  const requests = continuations.map(({ tokens }, i) => ({ id: String(i), promptIds: tokens.map(tokenId) }));
  const options = { maxTokens, batch, temperature: 0, seed: 0, signal };
  for await (const event of generate(engine, requests, options)) {
    if (event.kind !== 'result') continue;
    const { name, greedy } = continuations[Number(event.id)]!;
    const wrong = greedy.tokens.findIndex((token, i) => event.tokenIds[i] !== token);
    if (wrong >= 0) {
      different.push(
        `${name}: token ${wrong} is ${event.tokenIds[wrong]}, in the reference ${greedy.tokens[wrong]}`,
      );
    }
    // After a different token everything is another text.
    const same = wrong < 0 ? greedy.tokens.length : wrong;
    const mine = event.logprobs.slice(0, same);
    worst.add(largestDifference(mine, greedy.logprobs.slice(0, same)), `in ${name}`);
  }
  const count = continuations.length;
  const [first] = different;
  const text = first
    ? `${different.length} of ${count} differ; ${first}`
    : `${count} continuations of up to ${maxTokens} tokens`;
  checks.decide(check, first === undefined, text);
  checks.compare(`${check}: log probabilities`, worst.value, tolerance, worst.describe('of the same tokens'));
}

async function compareLikelihoods(
  engine: Engine,
  { likelihoods }: Reference,
  checks: CheckList,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (likelihoods.length === 0) return;
  const worst = new Worst();
  let agreeing = 0;
  const requests = likelihoods.map(({ context, continuation }, i) => ({
    id: String(i),
    contextIds: context.map(tokenId),
    continuationIds: continuation.map(tokenId),
  }));
  for await (const { id, logprob, isGreedy } of score(engine, requests, { batch: 4, signal })) {
    const expected = likelihoods[Number(id)]!;
    worst.add(Math.abs(logprob - expected.sum), `in continuation ${id}`);
    if (isGreedy === expected.isGreedy) agreeing++;
  }
  const count = likelihoods.length;
  const text = `sums over ${count} continuations`;
  checks.compare('log-likelihoods', worst.value, LIKELIHOOD_TOLERANCE, worst.describe(text));
  const flags = `${agreeing} of ${count} are, or are not, the greedy one as in the reference`;
  checks.decide('log-likelihoods: greedy', agreeing === count, flags);
}
