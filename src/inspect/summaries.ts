/** Short accounts of tensors, of quantized matrices and of a tokenizer. */

import type { DType } from '../graph/dtype.js';
import { elementCount, tensorBytes } from '../graph/dtype.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import type { Manifest } from '../manifest.js';
import type { TokenizerFiles } from '../tokenizer/find.js';
import { openTokenizerFiles } from '../tokenizer/open.js';
import type { MatrixSummary, TensorSummary, TokenizerSummary, WeightSummary } from './report.js';

/** What there is to say of each tensor, by name. */
export function listTensors(tensors: ReadonlyMap<string, LazyTensor>): TensorSummary[] {
  return [...tensors].map(([name, { dtype, shape }]) => ({
    name,
    dtype,
    shape,
    bytes: tensorBytes(dtype, shape),
  }));
}

/** Adds tensors up by dtype, the largest sum first. */
export function summariseWeights(tensors: readonly TensorSummary[]): WeightSummary[] {
  const sums = new Map<DType, WeightSummary>();
  for (const { dtype, shape, bytes } of tensors) {
    const sum = sums.get(dtype) ?? { dtype, tensors: 0, elements: 0, bytes: 0 };
    sums.set(dtype, {
      dtype,
      tensors: sum.tensors + 1,
      elements: sum.elements + elementCount(shape),
      bytes: sum.bytes + bytes,
    });
  }
  return [...sums.values()].sort((a, b) => b.bytes - a.bytes);
}

/** Counts quantized matrices by the way in which they are stored, the most frequent first. */
export function summariseMatrices(matrices: NonNullable<Manifest['matrices']>): MatrixSummary[] {
  const sums = new Map<string, MatrixSummary>();
  for (const { path, form, error } of matrices) {
    const key = JSON.stringify(form);
    const sum = sums.get(key) ?? { form, count: 0, worst_error: error, worst_path: path };
    const worst = error > sum.worst_error ? { worst_error: error, worst_path: path } : {};
    sums.set(key, { ...sum, ...worst, count: sum.count + 1 });
  }
  return [...sums.values()].sort((a, b) => b.count - a.count);
}

/** In the order in which people count: `blocks.2` before `blocks.10`. */
export function inNaturalOrder(tensors: readonly TensorSummary[]): TensorSummary[] {
  const { compare } = new Intl.Collator('en', { numeric: true });
  return [...tensors].sort((a, b) => compare(a.name, b.name));
}

/**
 * Tells of the tokenizer that some files hold, null where there are none.
 * @throws InputError where it cannot be read.
 */
export async function summariseTokenizer(files: TokenizerFiles): Promise<TokenizerSummary | null> {
  const tokenizer = await openTokenizerFiles(files);
  if (!tokenizer) return null;
  const names = [...files.keys()];
  return {
    kind: names.includes('tokenizer.model') ? 'SentencePiece' : 'tokenizer.json',
    files: names,
    vocab_size: tokenizer.vocabSize,
    bos_id: tokenizer.bosId ?? null,
    eos_ids: tokenizer.eosIds,
  };
}
