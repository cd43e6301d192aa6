/** What became of each quantized matrix, for the manifest. */

/** How a matrix is stored: one scale for every column, in each of `groups` parts of its input, or one for every block. */
export type StoredForm =
  | { readonly kind: 'columns'; readonly groups: number }
  | { readonly kind: 'blocks'; readonly bits: number; readonly blockSize: number };

/** One quantized matrix. */
export interface MatrixRecord {
  /** The layer's path in the model, such as `blocks.0.mlp_block.ffw_down`. */
  readonly path: string;
  readonly form: StoredForm;
  /** Relative Frobenius error of its weights, known once they are written. */
  error(): number;
}

/** Told of each matrix as the graph is built. */
export type OnMatrix = (record: MatrixRecord) => void;
