/** Compares what a checkpoint's tensors read as with what another implementation recorded of them. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.js';
import { itemBytes } from '../../../src/graph/dtype.js';
import type { LazyTensor } from '../../../src/graph/lazy-tensor.js';

/** Of each tensor by name: dtype, shape, and the SHA-256 of its elements in row-major order. */
export type Expected = Readonly<Record<string, readonly [string, readonly number[], string]>>;

/** Most bytes that a reader may hand out at once. */
const MAX_PIECE_BYTES = 4 * 1024 * 1024;

/** Asserts that the checkpoint holds these tensors and no others, to the bit. */
export async function assertTensors(checkpoint: Checkpoint, expected: Expected): Promise<void> {
  assert.deepEqual([...checkpoint.tensors.keys()].sort(), Object.keys(expected).sort());
  for (const [name, [dtype, shape, sha256]] of Object.entries(expected)) {
    const tensor = checkpoint.tensors.get(name)!;
    assert.deepEqual([name, tensor.dtype, tensor.shape], [name, dtype, shape]);
    assert.equal(await hashTensor(tensor), sha256, name);
  }
}

/** The SHA-256 of all that a tensor's `read` gives, whose pieces must keep to the contract of `LazyTensor`. */
export async function hashTensor(tensor: LazyTensor): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of tensor.read()) {
    assert.ok(piece.length > 0 && piece.length <= MAX_PIECE_BYTES);
    assert.equal(piece.length % itemBytes(tensor.dtype), 0);
    hash.update(piece);
  }
  return hash.digest('hex');
}
