/** ONNX's numbers of element types (`TensorProto.DataType`). */

import type { DType } from './dtype.js';
import { TensorProto_DataType as DataType } from './onnx/onnx-ml_pb.js';

/** The number that stands for each dtype in a model file. */
export const DATA_TYPES: Readonly<Record<DType, DataType>> = {
  float64: DataType.DOUBLE,
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
  int64: DataType.INT64,
  int32: DataType.INT32,
  int16: DataType.INT16,
  int8: DataType.INT8,
  uint8: DataType.UINT8,
  bool: DataType.BOOL,
  complex64: DataType.COMPLEX64,
};
