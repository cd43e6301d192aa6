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
  const highest = logits.reduce((max, logit) => Math.max(max, logit), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - highest) / temperature));
  if (topK !== undefined && topK < weights.length) keepLikeliest(weights, (_, rank) => rank < topK);
  if (topP !== undefined && topP < 1) {
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    // The nucleus: a token stays while those before it have less than top-p; the likeliest always stays.
    keepLikeliest(weights, (before, rank) => rank === 0 || before < topP * total);
  }
  // The likeliest has weight 1.
  if (minP !== undefined) for (const [i, weight] of weights.entries()) if (weight < minP) weights[i] = 0;
  return weights;
}

/** Sets to 0 what `keep` refuses, asked from the likeliest down with the sum of the weights before; after one refusal all the rest goes. */
function keepLikeliest(weights: Float64Array, keep: (before: number, rank: number) => boolean): void {
  const order = Uint32Array.from(weights.keys()).sort((a, b) => weights[b]! - weights[a]! || a - b);
  let before = 0;
  let kept = true;
  for (const [rank, i] of order.entries()) {
    kept &&= keep(before, rank);
    before += weights[i]!;
    if (!kept) weights[i] = 0;
  }
}

function draw(weights: Float64Array, random: Random): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let left = random() * total;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    left -= weights[i]!;
    if (left < 0) break;
  }
  return last;
}
