/** What a pickle says of a tensor: which storage, and how its elements lie in it. */

import { InputError } from '../../errors.js';
import type { DType, Shape } from '../../graph/dtype.js';
import { quoted } from '../quoted.js';
import type { TorchElement } from './element-types.js';

/** Most axes of a tensor; PyTorch itself stops at 64. */
const MAX_AXES = 64;

/**
 * Most bytes of a tensor that repeats its storage's elements (`expand`): a few stored bytes may otherwise stand for an endless
 * stream.
 */
const MAX_REPEATED_BYTES = 256 * 2 ** 20;

/** A run of bytes in the file that one or several tensors share. */
export class StorageRecord {
  /**
   * @param key Its name in the file.
   * @param element The type of its elements; undefined for an untyped storage, which is counted in bytes.
   * @param count Number of elements, or of bytes.
   */
  constructor(
    readonly key: string,
    readonly element: TorchElement | undefined,
    readonly count: number,
  ) {}

  get bytes(): number {
    return this.count * (this.element?.bytes ?? 1);
  }
}

/** A tensor as the pickle built it: nothing checked yet, since its name is not yet known. */
export class TensorRecord {
  /**
   * @param offset Where it begins in the storage, in elements.
   * @param stride Per axis, how many elements of the storage lie between neighbours.
   * @param altered Whether it stands for the negated or conjugated elements of its storage.
   */
  constructor(
    readonly storage: StorageRecord,
    readonly element: TorchElement,
    readonly offset: unknown,
    readonly shape: unknown,
    readonly stride: unknown,
    readonly altered: boolean,
  ) {}
}

/** A tensor that is known to lie inside its storage. */
export interface TensorView {
  readonly storage: StorageRecord;
  readonly dtype: DType;
  readonly shape: Shape;
  /** In elements, as are the strides. */
  readonly offset: number;
  readonly stride: readonly number[];
  /** Elements of the storage from the first to the last that it touches. */
  readonly span: number;
  /** Whether its elements lie in row-major order without gaps. */
  readonly contiguous: boolean;
}

/** Checks a record's numbers; throws InputError naming the tensor unless all of it lies inside its storage. */
export function checkTensor(where: string, name: string, record: TensorRecord): TensorView {
  const fail = (problem: string) => {
    return new InputError(`The tensor ${quoted(name)} of ${where} ${problem}.`, {
      details: { file: where, tensor: name },
    });
  };
  const { storage, element, offset, shape, stride } = record;
  if (element.dtype === undefined) throw fail(`is of type ${element.name}, which cannot be read`);
  if (record.altered) throw fail('is a negated or conjugated view, which cannot be read');
  if (!isCount(offset) || !isCounts(shape) || !isCounts(stride) || shape.length !== stride.length) {
    throw fail('has a size, stride or offset that is not one');
  }
  let elements = 1;
  let span = 1;
  for (const [axis, size] of shape.entries()) {
    elements *= size;
    span += (size - 1) * stride[axis]!;
  }
  if (elements === 0) span = 0;
  const available = Math.floor(storage.bytes / element.bytes);
  // Beyond 2^53 these sums are not exact, but they are then far beyond any storage too.
  if (!Number.isSafeInteger(storage.bytes) || !Number.isFinite(elements) || !(offset + span <= available)) {
    throw fail(`needs ${offset + span} elements of a storage that has ${available}`);
  }
  if (elements > available && elements * element.bytes > MAX_REPEATED_BYTES) {
    throw fail(`repeats the elements of its storage to [${shape.join(', ')}], which is more than is read`);
  }
  return {
    storage,
    dtype: element.dtype,
    shape,
    offset,
    stride,
    span,
    contiguous: isRowMajor(shape, stride),
  };
}

/** Whether a value is a number of things: an exact integer that is not negative. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= MAX_AXES && value.every(isCount);
}

function isRowMajor(shape: Shape, stride: readonly number[]): boolean {
  let expected = 1;
  for (const [axis, size] of [...shape.entries()].reverse()) {
    if (size !== 1 && stride[axis] !== expected) return shape.includes(0);
    expected *= size;
  }
  return true;
}
