/** A sequence's state as a file: a long prompt is paid for once, and resumed at once, here or on another machine. */

import { openSafetensors } from '../checkpoint/safetensors.js';
import { writeSafetensors } from '../checkpoint/safetensors-writer.js';
import { InputError } from '../errors.js';
import { elementCount } from '../graph/dtype.js';
import { collect } from '../graph/transform.js';
import type { ModelFolder } from '../manifest.js';
import { usedShape } from '../models/state-tensor.js';
import { type TokenId, tokenId } from '../tokenizer/tokenizer.js';
import type { RowState } from './batch-state.js';
import { STATE_ARRAYS, type StateArray } from './state-arrays.js';

/** A sequence that can go on. */
export interface SavedState {
  readonly row: RowState;
  /** Tokens of the sequence that the state has not seen yet: at least the newest, whose successor is wanted next. */
  readonly pendingIds: readonly TokenId[];
}

const METADATA = {
  model: 'recgemma.model_sha256',
  tokens: 'recgemma.num_tokens',
  pending: 'recgemma.pending_ids',
};

/** Writes a state: safetensors, each tensor under its graph input's name, with the hash of the model it belongs to. */
export async function saveState(
  path: string,
  model: ModelFolder,
  { row, pendingIds }: SavedState,
): Promise<void> {
  const tensors = model.manifest.state.map((tensor) => {
    const data = row.tensors.get(tensor.input)!;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return [tensor.input, tensor.dtype, usedShape(tensor, row.numTokens), bytes] as const;
  });
  const metadata = new Map([
    [METADATA.model, model.hash],
    [METADATA.tokens, String(row.numTokens)],
    [METADATA.pending, JSON.stringify(pendingIds)],
  ]);
  await writeSafetensors(path, tensors, metadata);
}

/** Tokens that a saved state has seen, from its header alone. @throws InputError where the file is no state. */
export async function savedTokens(path: string): Promise<number> {
  const file = await openSafetensors(path);
  try {
    return readCount(path, file.metadata.get(METADATA.tokens));
  } finally {
    await file.close();
  }
}

/**
 * Reads a state back.
 * @throws InputError where the file is no state, is corrupt, or belongs to another model.
 */
export async function loadState(path: string, model: ModelFolder): Promise<SavedState> {
  const file = await openSafetensors(path);
  try {
    const hash = file.metadata.get(METADATA.model);
    if (hash === undefined) throw new InputError(`${path} is not a saved state of recgemma.`);
    if (hash !== model.hash) {
      throw new InputError(`${path} is a state of another model than ${model.path}.`, {
        hint: 'A state fits only the very model it was made with: same weights, same precision.',
        details: { state: hash, model: model.hash },
      });
    }
    const numTokens = readCount(path, file.metadata.get(METADATA.tokens));
    const pendingIds = readIds(path, file.metadata.get(METADATA.pending), model.manifest.vocab_size);
    const tensors = new Map<string, StateArray>();
    for (const tensor of model.manifest.state) {
      const stored = file.tensors.get(tensor.input);
      const shape = usedShape(tensor, numTokens);
      if (stored?.dtype !== tensor.dtype || stored.shape.join() !== shape.join()) {
        throw new InputError(
          `${path}: "${tensor.input}" is not a ${tensor.dtype} tensor of shape [${shape.join(', ')}].`,
        );
      }
      const { buffer, byteOffset } = await collect(stored);
      tensors.set(tensor.input, new STATE_ARRAYS[tensor.dtype](buffer, byteOffset, elementCount(shape)));
    }
    return { row: { numTokens, tensors }, pendingIds };
  } finally {
    await file.close();
  }
}

function readCount(path: string, text: string | undefined): number {
  const count = Number(text);
  if (text && Number.isSafeInteger(count) && count >= 0) return count;
  throw new InputError(`${path} does not say how many tokens its state has seen.`);
}

function readIds(path: string, text: string | undefined, vocabSize: number): TokenId[] {
  try {
    const ids: unknown = JSON.parse(text ?? '');
    const valid = (id: unknown) => Number.isInteger(id) && Number(id) >= 0 && Number(id) < vocabSize;
    if (Array.isArray(ids) && ids.every(valid)) return ids.map((id) => tokenId(Number(id)));
  } catch {
    // said below, as for any other value
  }
  throw new InputError(`${path} does not list the tokens that its state has not seen yet.`);
}
