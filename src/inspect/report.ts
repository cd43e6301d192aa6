/** What is told of a checkpoint or a model folder. Fields are spelled as in `recgemma.json`: the report is printed as JSON as it is. */

import type { DType, Shape } from '../graph/dtype.js';
import type { Manifest, Quality } from '../manifest.js';
import type { StoredForm } from '../models/matrices/record.js';
import type { StateReport } from './state-sizes.js';

/** The whole report. */
export interface InspectReport {
  readonly path: string;
  readonly kind: 'checkpoint' | 'model' | 'preset';
  /** A checkpoint's format, that of the one a model was made from, or the precision in which a preset's weights are counted. */
  readonly format: string;
  /** Whose tensor names it has; null where they are nobody's that is known. */
  readonly layout: string | null;
  /** Where it was downloaded from. */
  readonly hub: { readonly repository: string; readonly commit: string } | null;
  readonly family: string | null;
  /** In the family's own field names; of a config that cannot be settled, what is known. */
  readonly config: Readonly<Record<string, unknown>> | null;
  /** Fields that the config lacks, so that the checkpoint cannot be converted without saying more. */
  readonly missing: readonly string[];
  /** Of a model folder. */
  readonly model: ModelSummary | null;
  readonly parameters: number;
  readonly weights: readonly WeightSummary[];
  readonly tokenizer: TokenizerSummary | null;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** Null where the config does not tell. */
  readonly state: StateReport | null;
  /** With {@link InspectOptions.tensors}: every stored tensor, in natural order. */
  readonly tensors?: readonly TensorSummary[];
  /** With them: every quantized matrix, in the graph's order. */
  readonly matrices?: NonNullable<Manifest['matrices']>;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

/** How a model folder was made. */
export interface ModelSummary {
  readonly tool_version: string;
  readonly opset: number;
  readonly precision: string;
  readonly block_size: number | null;
  readonly device: string;
  readonly logits: string;
  /** What the precision costs, where it was measured. */
  readonly quality: Quality | null;
  /** The quantized matrices by the way in which they are stored. */
  readonly matrices: readonly MatrixSummary[];
}

/** All quantized matrices that are stored in one way. */
export interface MatrixSummary {
  readonly form: StoredForm;
  readonly count: number;
  /** The largest relative Frobenius error of their weights, and whose it is. */
  readonly worst_error: number;
  readonly worst_path: string;
}

/** All tensors of one dtype. */
export interface WeightSummary {
  readonly dtype: DType;
  readonly tensors: number;
  readonly elements: number;
  readonly bytes: number;
}

/** One stored tensor. */
export interface TensorSummary {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly bytes: number;
}

/** The tokenizer that was found. */
export interface TokenizerSummary {
  readonly kind: 'SentencePiece' | 'tokenizer.json';
  readonly files: readonly string[];
  readonly vocab_size: number;
  readonly bos_id: number | null;
  readonly eos_ids: readonly number[];
}
