/** How a model folder stores its model: what the user chose, and what follows where nothing was said. */

import type { KeyValuePrecision } from '../models/layers/key-values.js';
import type { LogitsForm } from '../models/logits-form.js';
import type { Precision } from '../quantize/precision.js';

/** What can be chosen. */
export interface StorageOptions {
  readonly logits?: LogitsForm | undefined;
  /** How the matrices are stored; default fp32. */
  readonly precision?: Precision | undefined;
  /** Weights that share a scale, in int4; default 128. */
  readonly blockSize?: number | undefined;
  /** How keys and values are stored; by default int8 beside int8 and int4 matrices, else float32. */
  readonly keyValues?: KeyValuePrecision | undefined;
}

/** What was settled. */
export interface Storage {
  readonly logits: LogitsForm;
  readonly precision: Precision;
  readonly blockSize: number;
  readonly keyValues: KeyValuePrecision;
}

const DEFAULT_BLOCK_SIZE = 128;

/** Settles what was left open. */
export function settleStorage(options: StorageOptions): Storage {
  const { logits = 'last', precision = 'fp32', blockSize = DEFAULT_BLOCK_SIZE } = options;
  // Beside matrices of eight bits or fewer, keys and values of eight cost nothing more that could be measured.
  const keyValues = precision === 'int8' || precision === 'int4' ? 'int8' : 'float32';
  return { logits, precision, blockSize, keyValues: options.keyValues ?? keyValues };
}
