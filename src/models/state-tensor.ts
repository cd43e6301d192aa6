/** What a model carries from one call to the next, described so that the runtime needs to know no family. */

import { totalBytes } from '../graph/dtype.js';

/** How the runtime carries a state tensor on. */
export type StateKind =
  /** The output replaces the input. */
  | 'carried'
  /** The output holds new rows only; the row of position p goes into slot `p mod window` of the input. */
  | 'ring';

/** What state is stored in: float32, or eight bits with scales. */
export type StateDType = 'float32' | 'uint8' | 'int8';

/** One state tensor of a model. All zeros is the valid empty state. */
export interface StateTensor {
  /** The graph input's name, `past_key_values.{layer}.…`. */
  readonly input: string;
  /** The graph output's name, `present.{layer}.…`. */
  readonly output: string;
  readonly kind: StateKind;
  readonly dtype: StateDType;
  /** Axes of one sequence, without `batch`; of a ring the first is the window. */
  readonly shape: readonly number[];
  /** Names of those axes, for people. */
  readonly axes: readonly string[];
}

/** The names of a state tensor's graph input and output. */
export function stateNames(layer: number, what: string): { readonly input: string; readonly output: string } {
  return { input: `past_key_values.${layer}.${what}`, output: `present.${layer}.${what}` };
}

/** Bytes that one sequence's state takes when its rings are full. */
export function stateBytes(tensors: readonly StateTensor[]): number {
  return totalBytes(tensors);
}
