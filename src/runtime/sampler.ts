/** Chooses the next token from logits: greedy, or by temperature, top-k, top-p and min-p, in the order in which Hugging Face applies them. */

import { type TokenId, tokenId } from '../tokenizer/tokenizer.js';
import type { ForwardResult } from './forward.js';
import type { Random } from './random.js';

/** How tokens are drawn. */
export interface SamplingOptions {
  /** 0 takes the likeliest token, always. */
  readonly temperature: number;
  /** Only the k likeliest tokens. */
  readonly topK?: number | undefined;
  /** Only the likeliest tokens that together have this probability. */
  readonly topP?: number | undefined;
  /** Only tokens at least this many times as likely as the likeliest. */
  readonly minP?: number | undefined;
}

/** A token that was drawn. */
export interface Choice {
  readonly id: TokenId;
  /** Natural logarithm of its probability under the model, before any of the options. */
  readonly logprob: number;
}

/** Beyond this, sorting in the graph costs more than copying the whole row. */
const MAX_CANDIDATES = 1024;

/** What the head must give for these options: the few likeliest tokens where they are enough, else whole rows. */
export function headNeeds({ temperature, topK }: SamplingOptions): { candidates: number; logits: boolean } {
  if (temperature === 0) return { candidates: 1, logits: false };
  if (topK !== undefined && topK <= MAX_CANDIDATES) return { candidates: topK, logits: false };
  return { candidates: 1, logits: true };
}

/** Draws the token of asked row `row` of a result that was computed with at least {@link headNeeds}. */
export function chooseToken(
  result: ForwardResult,
  row: number,
  options: SamplingOptions,
  random: Random,
): Choice {
  const width = result.topIds.length / result.logSumExp.length;
  const own = [row * width, (row + 1) * width] as const;
  const top = { logits: result.topLogits.subarray(...own), ids: result.topIds.subarray(...own) };
  const choose = (id: number, logit: number): Choice => ({
    id: tokenId(id),
    logprob: logit - result.logSumExp[row]!,
  });
  if (options.temperature === 0) return choose(top.ids[0]!, top.logits[0]!);

  const needs = headNeeds(options);
  const candidates = needs.logits ? wholeRow(result, row) : firstOf(top, needs.candidates);
  const index = draw(filtered(candidates, options), random);
  return choose(candidates.ids ? candidates.ids[index]! : index, candidates.logits[index]!);
}

/** Tokens to draw from; without ids, a token's place is its id. */
interface Candidates {
  readonly logits: Float32Array;
  readonly ids?: Int32Array;
}

function wholeRow({ logits, logSumExp }: ForwardResult, row: number): Candidates {
  const vocabSize = logits!.length / logSumExp.length;
  return { logits: logits!.subarray(row * vocabSize, (row + 1) * vocabSize) };
}

function firstOf({ logits, ids }: Required<Candidates>, count: number): Candidates {
  return { logits: logits.subarray(0, count), ids: ids.subarray(0, count) };
}

/** Unnormalised probabilities of all candidates; 0 for those that an option leaves out. */
function filtered({ logits }: Candidates, { temperature, topK, topP, minP }: SamplingOptions): Float64Array {
  // Plain loops: a row may have 256000 tokens, and callbacks take most of the time then.
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) if (logits[i]! > highest) highest = logits[i]!;
  const weights = new Float64Array(logits.length);
  for (let i = 0; i < logits.length; i++) weights[i] = Math.exp((logits[i]! - highest) / temperature);

  if (topK !== undefined && topK < weights.length) keepOnly(weights, likeliest(weights, { count: topK }));
  if (topP !== undefined && topP < 1) {
    keepOnly(weights, likeliest(weights, { count: 1, sum: topP * sumOf(weights) }));
  }
  // The likeliest has weight 1.
  if (minP !== undefined) for (let i = 0; i < weights.length; i++) if (weights[i]! < minP) weights[i] = 0;
  return weights;
}

/** Rounds of lowering the threshold before everything is sorted: weights span that many powers of ten at most in practice. */
const THRESHOLD_ROUNDS = 12;

/**
 * The fewest tokens, likeliest first and equal ones in the order of their ids, that number `count` and weigh `sum`. Only what
 * is above a threshold is sorted, which is lowered until that is enough: a whole vocabulary takes five times as long.
 */
function likeliest(weights: Float64Array, { count, sum = 0 }: { count: number; sum?: number }): number[] {
  let above: number[] = [];
  for (let round = 1; round <= THRESHOLD_ROUNDS; round++) {
    const threshold = round < THRESHOLD_ROUNDS ? 10 ** -round : 0;
    above = [];
    let weight = 0;
    for (let i = 0; i < weights.length; i++) {
      if (weights[i]! <= threshold) continue;
      above.push(i);
      weight += weights[i]!;
    }
    if (above.length >= count && weight >= sum) break;
  }
  above.sort((a, b) => weights[b]! - weights[a]! || a - b);
  let kept = 0;
  for (let weight = 0; kept < above.length && (kept < count || weight < sum); kept++)
    weight += weights[above[kept]!]!;
  return above.slice(0, kept);
}

function keepOnly(weights: Float64Array, indices: readonly number[]): void {
  const kept = indices.map((index) => weights[index]!);
  weights.fill(0);
  for (const [i, index] of indices.entries()) weights[index] = kept[i]!;
}

function sumOf(weights: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i]!;
  return sum;
}

function draw(weights: Float64Array, random: Random): number {
  let left = random() * sumOf(weights);
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    left -= weights[i]!;
    if (left < 0) break;
  }
  return last;
}
