/** How a model's matrices are stored. Everything else (norms, gates, state) is float32 whatever the precision. */

/** float32, float16 (for GPUs), or quantized to eight or four bits. */
export type Precision = 'fp32' | 'fp16' | 'int8' | 'int4';

/** Every precision, largest file first. */
export const PRECISIONS: readonly Precision[] = ['fp32', 'fp16', 'int8', 'int4'];
