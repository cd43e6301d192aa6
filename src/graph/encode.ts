/** A graph as the bytes of an ONNX `ModelProto`; weights are named with their place in the data file, not included. */

import { create, toBinary } from '@bufbuild/protobuf';
import type { Axis } from './axis.js';
import { DATA_TYPES } from './data-types.js';
import type { DType, Shape } from './dtype.js';
import { type Attribute, type Constant, Graph, type Node, type Value } from './graph.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  type TensorShapeProto_Dimension as Dimension,
  TensorShapeProto_DimensionSchema as DimensionSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type OperatorSetIdProto,
  OperatorSetIdProtoSchema,
  type StringStringEntryProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx/onnx-ml_pb.js';

/** The ONNX operator set that models are written in: the first with `RMSNormalization`. */
export const OPSET_VERSION = 23;

/** Domains of operators beside ONNX's own, with the version that models ask for. */
const CONTRIB_DOMAINS: Readonly<Record<string, number>> = { 'com.microsoft': 1 };

/** The file format version that goes with it; onnxruntime 1.30 reads up to 13. */
const IR_VERSION = 10;

/** Where a weight lies in the external data file. */
export interface WeightPlace {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly offset: number;
  readonly bytes: number;
}

/** What a model file says of itself. */
export interface ModelInfo {
  readonly producerVersion: string;
  /** The data file's name, beside the model file. */
  readonly dataFile: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Encodes a root graph. Weights carry only their location; everything else is in the returned bytes. */
export function encodeModel(graph: Graph, places: readonly WeightPlace[], info: ModelInfo): Uint8Array {
  const encoded = encodeGraph(graph);
  for (const constant of graph.constants.values()) encoded.initializer.push(encodeConstant(constant));
  for (const place of places) encoded.initializer.push(encodeWeight(place, info.dataFile));
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(IR_VERSION),
    producerName: 'recgemma',
    producerVersion: info.producerVersion,
    opsetImport: encodeDomains(graph),
    metadataProps: encodeEntries(info.metadata),
    graph: encoded,
  });
  return toBinary(ModelProtoSchema, model);
}

/** ONNX's own operators, and the other domains that the graph uses. */
function encodeDomains(graph: Graph): OperatorSetIdProto[] {
  const used = new Set(graph.nodes.map(({ operator }) => splitDomain(operator).domain).sort());
  const versions: Readonly<Record<string, number>> = { '': OPSET_VERSION, ...CONTRIB_DOMAINS };
  return [...used].map((domain) =>
    create(OperatorSetIdProtoSchema, { domain, version: BigInt(versions[domain]!) }),
  );
}

/** `com.microsoft.MatMulNBits` as its domain and its name there. */
function splitDomain(operator: string): { domain: string; opType: string } {
  const at = operator.lastIndexOf('.');
  return { domain: operator.slice(0, Math.max(0, at)), opType: operator.slice(at + 1) };
}

function encodeGraph(graph: Graph): GraphProto {
  return create(GraphProtoSchema, {
    name: graph.name,
    node: graph.nodes.map((node) => encodeNode(node, graph.root.outputNames)),
    input: graph.inputs.map(encodeValue),
    output: graph.outputs.map(encodeValue),
  });
}

function encodeNode(node: Node, outputNames: ReadonlyMap<string, string>): NodeProto {
  const final = (name: string) => outputNames.get(name) ?? name;
  return create(NodeProtoSchema, {
    name: node.name,
    ...splitDomain(node.operator),
    input: node.inputs.map(final),
    output: node.outputs.map(final),
    attribute: Object.entries(node.attributes).map(([name, value]) => encodeAttribute(name, value)),
  });
}

function encodeAttribute(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'number') {
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  }
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, {
      name,
      type: AttributeType.STRING,
      s: new TextEncoder().encode(value),
    });
  }
  if (value instanceof Graph) {
    return create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g: encodeGraph(value) });
  }
  if ('float' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float });
  }
  return create(AttributeProtoSchema, {
    name,
    type: AttributeType.INTS,
    ints: value.map((each) => BigInt(each)),
  });
}

function encodeValue(value: Value): ValueInfoProto {
  const tensor = create(TypeProto_TensorSchema, {
    elemType: DATA_TYPES[value.dtype],
    shape: create(TensorShapeProtoSchema, { dim: value.axes.map(encodeAxis) }),
  });
  return create(ValueInfoProtoSchema, {
    name: value.name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }),
  });
}

function encodeAxis(axis: Axis): Dimension {
  return create(DimensionSchema, {
    value:
      typeof axis === 'number'
        ? { case: 'dimValue', value: BigInt(axis) }
        : { case: 'dimParam', value: axis },
  });
}

function encodeConstant(constant: Constant): TensorProto {
  const { data } = constant;
  return create(TensorProtoSchema, {
    name: constant.name,
    dataType: DATA_TYPES[constant.dtype],
    dims: constant.shape.map((size) => BigInt(size)),
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
}

function encodeWeight(place: WeightPlace, location: string): TensorProto {
  return create(TensorProtoSchema, {
    name: place.name,
    dataType: DATA_TYPES[place.dtype],
    dims: place.shape.map((size) => BigInt(size)),
    dataLocation: DataLocation.EXTERNAL,
    externalData: encodeEntries({ location, offset: String(place.offset), length: String(place.bytes) }),
  });
}

function encodeEntries(entries: Readonly<Record<string, string>>): StringStringEntryProto[] {
  return Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));
}
