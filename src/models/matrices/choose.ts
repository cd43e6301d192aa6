/** A precision as a form of matrices. */

import type { MatrixForm } from '../../graph/matrix-form.js';
import type { Precision } from '../../quantize/precision.js';
import { blockMatrices } from './blocks.js';
import { floatMatrices } from './float.js';
import { type Int8Plan, int8Matrices } from './int8.js';
import type { OnMatrix } from './record.js';

/** What a precision leaves open. */
export interface MatrixOptions {
  /** Weights that share a scale, in int4. */
  readonly blockSize: number;
  /** Forms of single matrices, in int8. */
  readonly plan?: Int8Plan | undefined;
  readonly onMatrix: OnMatrix;
}

/** The form in which a model of this precision stores its matrices. */
export function matricesOf(precision: Precision, { blockSize, plan, onMatrix }: MatrixOptions): MatrixForm {
  switch (precision) {
    case 'fp32':
      return floatMatrices('float32');
    case 'fp16':
      return floatMatrices('float16');
    case 'int8':
      return int8Matrices(plan ?? new Map(), onMatrix);
    case 'int4':
      return blockMatrices({ bits: 4, blockSize }, onMatrix);
  }
}
