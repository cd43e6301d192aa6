/** What a model carries from one call to the next, described so that the runtime needs to know no family. */

import { totalBytes } from '../graph/dtype.js';

/** How the runtime carries a state tensor on. */
export const STATE_KINDS = [
  /** The output replaces the input. */
  'carried',
  /** The output holds new rows only; the row of position p goes into slot `p mod window` of the input. */
  'ring',
  /** The output holds new rows only; the row of position p goes into slot p, for as many as there are: it grows with its sequence. */
  'cache',
] as const;

/** One of {@link STATE_KINDS}. */
export type StateKind = (typeof STATE_KINDS)[number];

/** What state is stored in: float32, or eight bits with scales. */
export const STATE_DTYPES = ['float32', 'uint8', 'int8'] as const;

/** One of {@link STATE_DTYPES}. */
export type StateDType = (typeof STATE_DTYPES)[number];

/** One state tensor of a model. All zeros is the valid empty state. */
export interface StateTensor {
  /** The graph input's name, `past_key_values.{layer}.…`. */
  readonly input: string;
  /** The graph output's name, `present.{layer}.…`. */
  readonly output: string;
  readonly kind: StateKind;
  readonly dtype: StateDType;
  /**
   * Axes of one sequence, without `batch`. Of a ring and a cache they are `[kv_heads, slots, …]`: each head's slots lie side by side, as products read them. A ring has as
   * many slots as its window; those of a cache are the longest context that the model was made for, which is what it is described by, and no limit.
   */
  readonly shape: readonly number[];
  /** Names of those axes, for people. */
  readonly axes: readonly string[];
}

/** The names of a state tensor's graph input and output. */
export function stateNames(layer: number, what: string): { readonly input: string; readonly output: string } {
  return { input: `past_key_values.${layer}.${what}`, output: `present.${layer}.${what}` };
}

/** Whether a tensor has a slot for every token, up to its limit. */
export function hasSlots({ kind }: StateTensor): boolean {
  return kind !== 'carried';
}

/** How many slots a tensor with slots can ever use. */
export function slotLimit({ kind, shape }: StateTensor): number {
  return kind === 'ring' ? shape[1]! : Number.POSITIVE_INFINITY;
}

/** The shape of what is used after so many tokens: a ring is full at some time, a cache never. */
export function usedShape(tensor: StateTensor, numTokens: number): number[] {
  if (!hasSlots(tensor)) return [...tensor.shape];
  const [heads = 1, , ...rest] = tensor.shape;
  return [heads, Math.min(numTokens, slotLimit(tensor)), ...rest];
}

/** Bytes that one sequence's state takes: when its rings are full and its caches as long as the model was made for, or after so many tokens. */
export function stateBytes(tensors: readonly StateTensor[], numTokens?: number): number {
  if (numTokens === undefined) return totalBytes(tensors);
  return totalBytes(tensors.map((tensor) => ({ ...tensor, shape: usedShape(tensor, numTokens) })));
}

/** Bytes that a sequence's caches grow by with each token; 0 for a state that has a size. */
export function growthPerToken(tensors: readonly StateTensor[]): number {
  const caches = tensors.filter(({ kind }) => kind === 'cache');
  return stateBytes(caches, 1);
}

/** Tokens of the longest sequence that the model was made for; undefined where its state says nothing of it. */
export function longestContext(tensors: readonly StateTensor[]): number | undefined {
  return tensors.find(({ kind }) => kind === 'cache')?.shape[1];
}
