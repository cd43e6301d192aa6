/** A graph under construction: nodes, named inputs and outputs, and weights that nobody has read yet. */

import { type Axis, formatAxes, GraphError } from './axis.js';
import { type DType, elementCount, type Shape } from './dtype.js';
import type { LazyTensor } from './lazy-tensor.js';

/** The result of an operator, an input or a weight. Only a graph makes values, so there is none without a dtype and a shape. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly axes: readonly Axis[];
}

/** An operator's attribute; a whole number stands for ONNX's INT, `{ float }` for FLOAT. */
export type Attribute = number | string | readonly number[] | { readonly float: number } | Graph;

/** One operator as it will be written. */
export interface Node {
  readonly name: string;
  /** ONNX's own, or with its domain in front: `com.microsoft.MatMulNBits`. */
  readonly operator: string;
  /** Names of values; an empty one stands for an optional input that is not there. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Numbers as the elements of each dtype that a constant may have. */
const CONSTANT_DATA = {
  float32: (values: readonly number[]) => Float32Array.from(values),
  int64: (values: readonly number[]) => BigInt64Array.from(values, (value) => BigInt(value)),
  int8: (values: readonly number[]) => Int8Array.from(values),
  uint8: (values: readonly number[]) => Uint8Array.from(values),
};

/** A small tensor that lives inside the model file. */
export interface Constant {
  readonly name: string;
  readonly dtype: keyof typeof CONSTANT_DATA;
  readonly shape: Shape;
  readonly data: Float32Array | BigInt64Array | Int8Array | Uint8Array;
}

/**
 * Nodes, inputs and outputs in the order in which they were made. A subgraph (the body of a `Scan`) has a parent, sees its
 * values, and keeps no weights or constants of its own.
 */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];
  /** What a node's result is called in the file where that is not its own name: a copy under another name would cost time. */
  readonly outputNames = new Map<string, string>();
  readonly weights = new Map<string, LazyTensor>();
  /** Second names of weights. */
  readonly aliases = new Map<string, string>();
  readonly constants = new Map<string, Constant>();
  readonly #parent: Graph | undefined;
  readonly #names: Set<string>;
  /** Values whose axis 0 has a name of its own. */
  readonly #measured = new Map<string, Value>();
  readonly #sizes = new Map<string, Value>();

  constructor(
    readonly name: string,
    parent?: Graph,
  ) {
    this.#parent = parent;
    this.#names = parent ? parent.#names : new Set();
  }

  get root(): Graph {
    return this.#parent?.root ?? this;
  }

  /** Declares an input of the graph. */
  input(name: string, dtype: DType, axes: readonly Axis[]): Value {
    const value = { name: this.#claim(name), dtype, axes };
    this.inputs.push(value);
    return value;
  }

  /** Declares `value` as an output under a name of its own. */
  output(name: string, value: Value): void {
    this.#claim(name);
    if (this.#makes(value) && !this.#isOutput(value)) {
      this.root.outputNames.set(value.name, name);
    } else {
      const node = { name: this.#claim(`${name}/Identity`), operator: 'Identity', attributes: {} };
      this.nodes.push({ ...node, inputs: [value.name], outputs: [name] });
    }
    this.outputs.push({ ...value, name });
  }

  /** Makes `value` an output under its own name: for a body, whose outputs are told apart by their order. */
  result(value: Value): void {
    if (this.#makes(value) && !this.#isOutput(value)) this.outputs.push(value);
    else this.output(`${value.name}/result_${this.outputs.length}`, value);
  }

  /** Adds a weight to the root graph; its bytes are read when the model is saved. */
  weight(name: string, tensor: LazyTensor): Value {
    this.root.weights.set(this.#claim(name), tensor);
    return { name, dtype: tensor.dtype, axes: tensor.shape };
  }

  /**
   * A second name for a weight, which takes no room in the file. onnxruntime maps each name on its own and lets go of what it has packed: a matrix that is
   * looked up in as well as multiplied by is then in memory once (int4 of 1.51 GB: 1.73 GB resident instead of 2.06).
   */
  alias(weight: Value): Value {
    const name = this.#claim(`${weight.name}_product`);
    this.root.aliases.set(name, weight.name);
    return { ...weight, name };
  }

  /** A constant of the root graph; equal ones are stored once. */
  constant(dtype: Constant['dtype'], shape: Shape, values: readonly number[]): Value {
    if (values.length !== elementCount(shape)) {
      throw new GraphError(this.name, `a constant of shape ${formatAxes(shape)} got ${values.length} values`);
    }
    const data = CONSTANT_DATA[dtype](values);
    const key = `${dtype}[${shape.join(',')}]:${data.join(',')}`;
    const known = this.root.constants.get(key);
    const constant = known ?? {
      name: this.#claim(`constant_${this.root.constants.size}`),
      dtype,
      shape,
      data,
    };
    this.root.constants.set(key, constant);
    return { name: constant.name, dtype, axes: shape };
  }

  /** Adds a node under a scope's path and returns its outputs in order. */
  node(
    path: string,
    operator: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly Omit<Value, 'name'>[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): Value[] {
    const name = this.#unique(`${path}/${operator.slice(operator.lastIndexOf('.') + 1)}`);
    const values = outputs.map((output, i) => ({
      name: this.#claim(i === 0 ? `${name}_output` : `${name}_output_${i}`),
      dtype: output.dtype,
      axes: output.axes,
    }));
    this.nodes.push({
      name,
      operator,
      inputs: inputs.map((input) => input?.name ?? ''),
      outputs: values.map((value) => value.name),
      attributes,
    });
    return values;
  }

  /** Makes axis 0 of `value` the place where the size of the axis so named is found. */
  measured(value: Value): Value {
    this.#measured.set(value.axes[0] as string, value);
    return value;
  }

  /** The run-time size of a named axis as an int64 `[1]`, taken from the first input that has it; sums and products are worked out. */
  size(axis: Axis): Value {
    if (typeof axis === 'number') return this.constant('int64', [1], [axis]);
    const known = this.#sizes.get(axis);
    if (known) return known;
    const value = this.#measure(axis);
    this.#sizes.set(axis, value);
    return value;
  }

  #measure(axis: string): Value {
    const measured = this.#measured.get(axis);
    if (measured) return this.#sizeOf(measured, 0);
    for (const input of this.inputs) {
      const at = input.axes.indexOf(axis);
      if (at >= 0) return this.#sizeOf(input, at);
    }
    // Sums are outermost in a name: `cached+5*time` is `cached` plus the product.
    const operator = axis.includes('+') ? 'Add' : 'Mul';
    const parts = axis.split(operator === 'Add' ? '+' : '*');
    if (parts.length < 2) throw new GraphError(this.name, `no input has an axis named ${axis}`);
    return parts
      .map((part) => this.size(Number.isNaN(Number(part)) ? part : Number(part)))
      .reduce((a, b) => this.node('sizes', operator, [a, b], [{ dtype: 'int64', axes: [1] }])[0]!);
  }

  /** Whether a node of this very graph has it as a result. */
  #makes(value: Value): boolean {
    return this.nodes.some(({ outputs }) => outputs.includes(value.name));
  }

  /** Whether it is an output already, under its own name or another. */
  #isOutput({ name }: Value): boolean {
    return this.root.outputNames.has(name) || this.outputs.some((output) => output.name === name);
  }

  #sizeOf(value: Value, at: number): Value {
    const attributes = { start: at, end: at + 1 };
    return this.node('sizes', 'Shape', [value], [{ dtype: 'int64', axes: [1] }], attributes)[0]!;
  }

  #claim(name: string): string {
    if (this.#names.has(name)) throw new GraphError(this.name, `two values are named "${name}"`);
    this.#names.add(name);
    return name;
  }

  #unique(name: string): string {
    for (let i = 0; ; i++) {
      const candidate = i === 0 ? name : `${name}_${i}`;
      if (!this.#names.has(candidate)) return this.#claim(candidate);
    }
  }
}
