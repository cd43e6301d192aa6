/** What every checkpoint reader offers: names, shapes and dtypes at once, tensors one at a time. */

import type { LazyTensor } from '../graph/lazy-tensor.js';

/** How a checkpoint lies on disk; `random` is nowhere. */
export type CheckpointFormat = 'safetensors' | 'torch' | 'orbax' | 'random';

/**
 * An opened checkpoint. Nothing but headers has been read, and nothing in it is ever executed.
 *
 * Tensor names are the file's own: for Orbax the tree path joined by `.` (`blocks.0.rg_lru.a_param`), with any outer
 * `params` kept. Renaming into DeepMind's Flax names is the name maps' work.
 */
export interface Checkpoint {
  readonly format: CheckpointFormat;
  /** The file or folder that was opened, or what messages call a checkpoint that is nowhere. */
  readonly path: string;
  /** Absolute paths of every file that holds tensors or says where they are: what the manifest hashes. */
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** The model's configuration in DeepMind's field names, where the checkpoint itself holds one. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  close(): Promise<void>;
}
