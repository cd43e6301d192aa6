/** How a model's large matrices are stored and multiplied: what a precision is, to the graph. */

import type { Axis } from './axis.js';
import type { Value } from './graph.js';
import type { LazyTensor } from './lazy-tensor.js';
import type { Scope } from './scope.js';

/** The weights of one dense layer. */
export interface Dense {
  /** The layer's place, after which its weights are named. */
  readonly at: Scope;
  /** `[input, output]`. */
  readonly kernel: LazyTensor;
  /** `[output]`. */
  readonly bias?: LazyTensor;
}

/** A matrix whose rows are looked up by number, and which is multiplied as a whole: the embedding that is also the output layer. */
export interface Table {
  /** How many rows it has. */
  readonly rows: Axis;
  /** The rows that `ids` int64 `[…]` names, float32 `[…, width]`. */
  lookUp(ids: Value): Value;
  /** `x table^T`: float32 `[rows, width]` to `[rows, vocab]`. */
  product(x: Value): Value;
}

/** One form for all large matrices. Norms, convolutions, gates and the state are float32 in each. */
export interface MatrixForm {
  /** Rows come in groups of this size, so that what a row gives does not depend on how many others there are. */
  readonly rowGroup: 1 | 2;
  /**
   * `x kernel + bias` of several layers that share their input, float32 `[tokens, input]` to `[tokens, output]` each.
   * @param m the place of what the layers have in common.
   */
  linear(m: Scope, x: Value, layers: readonly Dense[]): Value[];
  /** @param tensor `[vocab, width]`. */
  table(m: Scope, name: string, tensor: LazyTensor): Table;
}
