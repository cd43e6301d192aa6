/** Makes sure that copies of a tied weight are copies. */

import { createHash } from 'node:crypto';
import { InputError } from '../errors.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import { castTensor } from '../graph/transform.js';
import type { PreparedModel } from '../models/family.js';

/** Compares every stored copy, as float32, with the weight it should equal. @throws InputError naming the one that differs. */
export async function checkTied(
  model: PreparedModel,
  source: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const { name, tensor, path } of model.tied) {
    const weight = model.tensors.get(path)!;
    if (tensor.shape.join() === weight.shape.join() && (await equal(tensor, weight, signal))) continue;
    throw new InputError(
      `${source}: "${name}" differs from "${model.sourceName(path)}"; this model has one matrix for both.`,
    );
  }
}

/** Compares hashes, not bytes: the two may come in pieces of different lengths. */
async function equal(a: LazyTensor, b: LazyTensor, signal: AbortSignal | undefined): Promise<boolean> {
  return (await hashElements(a, signal)) === (await hashElements(b, signal));
}

async function hashElements(tensor: LazyTensor, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of castTensor(tensor, 'float32').read()) {
    signal?.throwIfAborted();
    hash.update(piece);
  }
  return hash.digest('hex');
}
