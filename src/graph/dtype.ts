/** Element types of tensors, and the few facts everything else needs of them. */

/** ONNX's name of an element type, as `TensorProto.DataType` spells it, in full. */
export type DType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool'
  | 'complex64';

const ITEM_BYTES: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
  complex64: 8,
};

/** Bytes of one element. */
export function itemBytes(dtype: DType): number {
  return ITEM_BYTES[dtype];
}

/** Sizes of a stored tensor's axes, outermost first. */
export type Shape = readonly number[];

/** Number of elements: the product of the axes, 1 for a scalar. */
export function elementCount(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of a whole tensor. */
export function tensorBytes(dtype: DType, shape: Shape): number {
  return elementCount(shape) * itemBytes(dtype);
}

/** A tensor as far as its size goes. */
interface Sized {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Bytes of several tensors together. */
export function totalBytes(tensors: Iterable<Sized>): number {
  let total = 0;
  for (const { dtype, shape } of tensors) total += tensorBytes(dtype, shape);
  return total;
}

/** Elements of several tensors together. */
export function totalElements(tensors: Iterable<Pick<Sized, 'shape'>>): number {
  let total = 0;
  for (const { shape } of tensors) total += elementCount(shape);
  return total;
}
