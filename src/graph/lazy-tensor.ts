/** A tensor that is read only when it is written: the one form in which weights travel from a checkpoint to a model file. */

import type { DType, Shape } from './dtype.js';

/** A stored tensor whose bytes come on demand, in order, and never all at once unless a transformation needs them. */
export interface LazyTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  /** The shape in the checkpoint where it is another there, for messages. */
  readonly storedShape?: Shape;
  /** The same tensor with its first two axes swapped, where the elements lie in that order in the checkpoint. */
  readonly transposed?: LazyTensor;
  /** The tensors that this one stacks along its first axis. */
  readonly parts?: readonly LazyTensor[];
  /**
   * The elements in row-major order, little-endian, in pieces of at most a few MiB, each a whole number of elements.
   * A piece is the receiver's until it asks for the next one: the reader may then reuse the memory.
   */
  read(): AsyncIterable<Uint8Array>;
}
