/** Eight-bit weights with one scale a column (or a table's row), for `MatMulInteger`. */

import { RecgemmaError } from '../errors.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';

/** One group of K of a quantized kernel: `w ≈ values * scales`. */
export interface Int8Group {
  /** int8 `[K / groups, N]`, -127 … 127. */
  readonly values: LazyTensor;
  /** float32 `[N]`. */
  readonly scales: LazyTensor;
}

/** A kernel of int8 groups. */
export interface QuantizedColumns {
  readonly groups: readonly Int8Group[];
  /** The weights' relative Frobenius error, known once all groups were read. */
  error(): number;
}

/** A table of int8 rows. */
export interface QuantizedRows {
  /** int8 `[V, D]`, -127 … 127. */
  readonly values: LazyTensor;
  /** float32 `[V]`. */
  readonly scales: LazyTensor;
  /** The weights' relative Frobenius error, known once the values were read. */
  error(): number;
}

/** A kernel `[K, N]` of any float dtype, cut along K into `groups` equal parts with one scale a column each. */
export function quantizeColumns(kernel: LazyTensor, groups: number): QuantizedColumns {
  throw new RecgemmaError('failed', `not there yet: ${groups} of ${kernel.shape}`);
}

/** A table `[V, D]`, one scale a row; streams. */
export function quantizeRows(table: LazyTensor): QuantizedRows {
  throw new RecgemmaError('failed', `not there yet: ${table.shape}`);
}
