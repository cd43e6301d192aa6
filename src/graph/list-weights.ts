/** Lists the weights that a model file names in its data file, without reading them. */

import { readFile, stat } from 'node:fs/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { InputError } from '../errors.js';
import { DATA_TYPES } from './data-types.js';
import { type DType, type Shape, tensorBytes } from './dtype.js';
import { TensorProto_DataLocation as DataLocation, ModelProtoSchema } from './onnx/onnx-ml_pb.js';

/** A weight of a model file. */
export interface ListedWeight {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly bytes: number;
}

/** A graph without its weights has a few MB; parsing takes some ten times as much memory. */
const MAX_GRAPH_BYTES = 128 * 2 ** 20;

const DTYPES = new Map<number, DType>(
  Object.entries(DATA_TYPES).map(([dtype, number]) => [number, dtype as DType]),
);

/**
 * A weight that has a second name, at the same place in the data file, is listed once.
 * @throws InputError where the file is no ONNX model, or has a weight of a dtype that recgemma never writes.
 */
export async function listWeights(path: string): Promise<ListedWeight[]> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new InputError(`${path} cannot be read.`, { cause });
  });
  if (!found.isFile() || found.size > MAX_GRAPH_BYTES) {
    throw new InputError(`${path} is not an ONNX graph of at most ${MAX_GRAPH_BYTES} bytes.`);
  }
  const weights = parse(await readFile(path), path).graph?.initializer ?? [];
  const external = weights.filter(({ dataLocation }) => dataLocation === DataLocation.EXTERNAL);
  const offsets = external.map(({ externalData }) => externalData.find(({ key }) => key === 'offset')?.value);
  const distinct = external.filter((_, i) => offsets.indexOf(offsets[i]) === i);
  return distinct.map(({ name, dataType, dims }) => {
    const dtype = DTYPES.get(dataType);
    if (!dtype) throw new InputError(`${path}: the weight "${name}" has dtype ${dataType}.`);
    const shape = dims.map(Number);
    return { name, dtype, shape, bytes: tensorBytes(dtype, shape) };
  });
}

function parse(bytes: Uint8Array, path: string) {
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new InputError(`${path} is not an ONNX model.`, { cause });
  }
}
