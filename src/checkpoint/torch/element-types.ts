/** PyTorch's element types: which of them are read, and the size of those that are not. */

import type { DType } from '../../graph/dtype.js';

/** An element type as PyTorch names it. */
export interface TorchElement {
  readonly name: string;
  readonly bytes: number;
  /** Our name for it; undefined for a type that cannot be read. */
  readonly dtype: DType | undefined;
}

/** `torch.<name>` of every dtype that a tensor may have (torch/csrc/utils/tensor_dtypes.cpp lists them). */
const ELEMENTS: ReadonlyMap<string, TorchElement> = new Map(
  (
    [
      ['float64', 8, 'float64'],
      ['float32', 4, 'float32'],
      ['float16', 2, 'float16'],
      ['bfloat16', 2, 'bfloat16'],
      ['int64', 8, 'int64'],
      ['int32', 4, 'int32'],
      ['int16', 2, 'int16'],
      ['int8', 1, 'int8'],
      ['uint8', 1, 'uint8'],
      ['bool', 1, 'bool'],
      ['uint64', 8, undefined],
      ['uint32', 4, undefined],
      ['uint16', 2, undefined],
      ['complex128', 16, undefined],
      ['complex64', 8, 'complex64'],
      ['complex32', 4, undefined],
      ['float8_e4m3fn', 1, undefined],
      ['float8_e4m3fnuz', 1, undefined],
      ['float8_e5m2', 1, undefined],
      ['float8_e5m2fnuz', 1, undefined],
      ['float8_e8m0fnu', 1, undefined],
      ['float4_e2m1fn_x2', 1, undefined],
    ] as const
  ).map(([name, bytes, dtype]) => [name, { name, bytes, dtype }]),
);

/** The classes of typed storages, by which tensors were saved before PyTorch 2.1 knew only untyped ones, and mostly still are. */
const STORAGE_ELEMENTS: Readonly<Record<string, string>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
  ComplexDoubleStorage: 'complex128',
  ComplexFloatStorage: 'complex64',
};

/** The element type that `torch.<name>` names, if it is one. */
export function torchElement(name: string): TorchElement | undefined {
  return ELEMENTS.get(name);
}

/** The names of the typed storage classes in `torch`, with the type of their elements. */
export function storageElements(): [name: string, element: TorchElement][] {
  return Object.entries(STORAGE_ELEMENTS).map(([name, element]) => [name, ELEMENTS.get(element)!]);
}

/** The names of all element types. */
export function elementNames(): string[] {
  return [...ELEMENTS.keys()];
}
