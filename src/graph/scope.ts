/** A place in a model: it names nodes and finds weights by one path, and offers ONNX's operators with their shapes inferred. */

import {
  type Axis,
  addToAxis,
  broadcastAxes,
  formatAxes,
  GraphError,
  sameElementCount,
  sumAxes,
} from './axis.js';
import { DATA_TYPES } from './data-types.js';
import type { DType, Shape } from './dtype.js';
import { type Attribute, Graph, type Value } from './graph.js';
import type { LazyTensor } from './lazy-tensor.js';
import type { MatrixForm } from './matrix-form.js';
import { castTensor } from './transform.js';
import type { WeightStore } from './weight-store.js';

/** What an elementwise operator takes: a value, or a number that becomes a constant of the other operand's dtype. */
export type Operand = Value | number;

/** The end of an axis, in a slice. */
const TO_THE_END = Number.MAX_SAFE_INTEGER;

/** One place in the model, such as `blocks.0.recurrent_block.rg_lru`. */
export class Scope {
  readonly #matrices: MatrixForm | undefined;

  /** @param matrices how large matrices are stored; whoever builds no model needs none. */
  constructor(
    readonly graph: Graph,
    readonly weights: WeightStore,
    matrices?: MatrixForm,
    readonly path = '',
  ) {
    this.#matrices = matrices;
  }

  /** How this model's large matrices are stored and multiplied. */
  get matrices(): MatrixForm {
    if (!this.#matrices) throw new GraphError(this.path, 'nobody said how matrices are stored');
    return this.#matrices;
  }

  /** The place below this one: `at('blocks.0').at('rg_lru')` is `blocks.0.rg_lru`. */
  at(name: string): Scope {
    return new Scope(this.graph, this.weights, this.#matrices, this.#join(name));
  }

  /** The weight below this place, not yet in the graph, its shape checked. Throws InputError where it is missing or of another shape. */
  tensor(name: string, shape: Shape): LazyTensor {
    return this.weights.take(this.#join(name), shape);
  }

  /** A weight as a float32 value of the graph. */
  weight(name: string, shape: Shape): Value {
    return this.initializer(name, this.tensor(name, shape));
  }

  /** Adds a tensor that was put together from weights, as a float32 value named after this place. */
  initializer(name: string, tensor: LazyTensor): Value {
    return this.stored(name, castTensor(tensor, 'float32'));
  }

  /** Adds a tensor in its own dtype, named after this place. */
  stored(name: string, tensor: LazyTensor): Value {
    return this.graph.weight(this.#join(name), tensor);
  }

  /** Float32 constant of the given shape. */
  constant(values: readonly number[], shape: Shape = [values.length]): Value {
    return this.graph.constant('float32', shape, values);
  }

  /** Int64 constant of one axis. */
  integers(values: readonly number[]): Value {
    return this.graph.constant('int64', [values.length], values);
  }

  // Elementwise, one operand: the result has the operand's dtype and shape.
  abs = (x: Value): Value => this.#like('Abs', x);
  exp = (x: Value): Value => this.#like('Exp', x);
  log = (x: Value): Value => this.#like('Log', x);
  sqrt = (x: Value): Value => this.#like('Sqrt', x);
  sigmoid = (x: Value): Value => this.#like('Sigmoid', x);
  softplus = (x: Value): Value => this.#like('Softplus', x);
  tanh = (x: Value): Value => this.#like('Tanh', x);
  cos = (x: Value): Value => this.#like('Cos', x);
  sin = (x: Value): Value => this.#like('Sin', x);
  /** The tanh approximation of GeLU, the one every Griffin and Gemma was trained with. */
  gelu = (x: Value): Value => this.#like('Gelu', x, { approximate: 'tanh' });
  /** `x sigmoid(x)`, also known as swish. */
  silu = (x: Value): Value => this.mul(x, this.sigmoid(x));
  softmax = (x: Value): Value => this.#like('Softmax', x, { axis: -1 });

  // Elementwise, two operands, broadcast as in NumPy.
  add = (a: Operand, b: Operand): Value => this.#binary('Add', a, b);
  sub = (a: Operand, b: Operand): Value => this.#binary('Sub', a, b);
  mul = (a: Operand, b: Operand): Value => this.#binary('Mul', a, b);
  div = (a: Operand, b: Operand): Value => this.#binary('Div', a, b);
  /** The remainder with the sign of the divisor, as Python's `%`. */
  mod = (a: Operand, b: Operand): Value => this.#binary('Mod', a, b);
  /** The larger of the two. */
  max = (a: Operand, b: Operand): Value => this.#binary('Max', a, b);
  /** The smaller of the two. */
  min = (a: Operand, b: Operand): Value => this.#binary('Min', a, b);
  equal = (a: Operand, b: Operand): Value => this.#binary('Equal', a, b, 'bool');
  less = (a: Operand, b: Operand): Value => this.#binary('Less', a, b, 'bool');
  lessOrEqual = (a: Operand, b: Operand): Value => this.#binary('LessOrEqual', a, b, 'bool');
  and = (a: Value, b: Value): Value => this.#binary('And', a, b, 'bool');

  cast(x: Value, dtype: DType): Value {
    if (x.dtype === dtype) return x;
    return this.operator('Cast', [x], dtype, x.axes, { to: DATA_TYPES[dtype] });
  }

  /** `x * rsqrt(mean(x^2) + epsilon) * scale` over the last axis. */
  rmsNorm(x: Value, scale: Value, epsilon: number): Value {
    this.#expect(
      scale.axes[0] === x.axes.at(-1),
      `cannot scale ${formatAxes(x.axes)} by ${formatAxes(scale.axes)}`,
    );
    return this.operator('RMSNormalization', [x, scale], x.dtype, x.axes, {
      axis: -1,
      epsilon: { float: epsilon },
    });
  }

  /** Matrix product over the last two axes, the leading ones broadcast. */
  matmul(a: Value, b: Value): Value {
    const batch = broadcastAxes(a.axes.slice(0, -2), b.axes.slice(0, -2));
    const fits = batch && a.axes.length >= 2 && b.axes.length >= 2 && a.axes.at(-1) === b.axes.at(-2);
    this.#expect(fits, `cannot multiply ${formatAxes(a.axes)} by ${formatAxes(b.axes)}`);
    return this.operator('MatMul', [a, b], a.dtype, [...(batch ?? []), a.axes.at(-2)!, b.axes.at(-1)!]);
  }

  /** `a b^T` of two matrices; the second is read in place. */
  matmulTransposed(a: Value, b: Value): Value {
    const fits = a.axes.length === 2 && b.axes.length === 2 && a.axes[1] === b.axes[1];
    this.#expect(fits, `cannot multiply ${formatAxes(a.axes)} by ${formatAxes(b.axes)} transposed`);
    return this.operator('Gemm', [a, b], a.dtype, [a.axes[0]!, b.axes[0]!], { transB: 1 });
  }

  transpose(x: Value, order: readonly number[]): Value {
    this.#expect(
      order.length === x.axes.length,
      `cannot permute ${formatAxes(x.axes)} by (${order.join(', ')})`,
    );
    const axes = order.map((axis) => x.axes[axis]!);
    return this.operator('Transpose', [x], x.dtype, axes, { perm: order });
  }

  /** The same elements in other axes; named sizes are found at run time. */
  reshape(x: Value, axes: readonly Axis[]): Value {
    this.#expect(
      sameElementCount(x.axes, axes),
      `cannot reshape ${formatAxes(x.axes)} to ${formatAxes(axes)}`,
    );
    const unknown = axes.filter((axis, i) => typeof axis === 'string' && axis !== x.axes[i]);
    if (unknown.length > 1) return this.operator('Reshape', [x, this.#sizes(axes)], x.dtype, axes);
    const target = axes.map((axis, i) => (typeof axis === 'number' ? axis : axis === x.axes[i] ? 0 : -1));
    return this.operator('Reshape', [x, this.integers(target)], x.dtype, axes);
  }

  /** Adds an axis of size 1 so that it becomes axis `at` of the result. */
  unsqueeze(x: Value, at: number): Value {
    const axes = [...x.axes.slice(0, at), 1, ...x.axes.slice(at)];
    return this.operator('Unsqueeze', [x, this.integers([at])], x.dtype, axes);
  }

  /** Removes the last axis, which must be 1. */
  squeezeLast(x: Value): Value {
    this.#expect(x.axes.at(-1) === 1, `the last axis of ${formatAxes(x.axes)} is not 1`);
    return this.operator('Squeeze', [x, this.integers([-1])], x.dtype, x.axes.slice(0, -1));
  }

  concat(values: readonly Value[], axis: number): Value {
    const [first, ...rest] = values;
    if (!first) throw new GraphError(this.path, 'nothing to concatenate');
    const axes = [...first.axes];
    for (const value of rest) {
      const fits =
        value.axes.every((size, i) => i === axis || size === axes[i]) && value.axes.length === axes.length;
      this.#expect(
        fits,
        `cannot concatenate ${formatAxes(axes)} and ${formatAxes(value.axes)} over axis ${axis}`,
      );
      axes[axis] = sumAxes(axes[axis]!, value.axes[axis]!);
    }
    return this.operator('Concat', values, first.dtype, axes, { axis });
  }

  /** Elements `start` to `end` of an axis; a negative `end` counts from the end, and without one the slice runs to it. */
  slice(x: Value, axis: number, start: number, end?: number): Value {
    const size = x.axes[axis]!;
    const length = end !== undefined && end >= 0 ? end - start : addToAxis(size, (end ?? 0) - start);
    const stop = this.integers([end ?? TO_THE_END]);
    const axes = x.axes.map((each, i) => (i === axis ? length : each));
    return this.operator('Slice', [x, this.integers([start]), stop, this.integers([axis])], x.dtype, axes);
  }

  /** Cuts the last axis into parts of the given sizes, which may be named. */
  split(x: Value, sizes: readonly Axis[]): Value[] {
    const total = sizes.reduce(sumAxes);
    this.#expect(total === x.axes.at(-1), `cannot split ${formatAxes(x.axes)} into ${formatAxes(sizes)}`);
    const outputs = sizes.map((size) => ({ dtype: x.dtype, axes: [...x.axes.slice(0, -1), size] }));
    return this.graph.node(this.path, 'Split', [x, this.#sizes(sizes)], outputs, { axis: -1 });
  }

  /** Cuts the last axis into `count` parts of one size. */
  splitEvenly(x: Value, count: number): Value[] {
    const size = (x.axes.at(-1) as number) / count;
    return this.split(x, new Array<number>(count).fill(size));
  }

  /** The rows of `x` (its first axis) that `indices` names. */
  gather(x: Value, indices: Value): Value {
    return this.operator('Gather', [x, indices], x.dtype, [...indices.axes, ...x.axes.slice(1)], { axis: 0 });
  }

  /** For every batch row, the elements of axis 1 that `indices` `[batch, count, 1]` names. */
  gatherInBatch(x: Value, indices: Value): Value {
    this.#expect(
      indices.axes[0] === x.axes[0],
      `${formatAxes(indices.axes)} and ${formatAxes(x.axes)} differ in batch`,
    );
    const axes = [x.axes[0]!, indices.axes[1]!, ...x.axes.slice(2)];
    return this.operator('GatherND', [x, indices], x.dtype, axes, { batch_dims: 1 });
  }

  /** For every row of `x` `[rows, size]`, the element at `indices` `[rows, count]`. */
  gatherElements(x: Value, indices: Value): Value {
    return this.operator('GatherElements', [x, indices], x.dtype, indices.axes, { axis: -1 });
  }

  /** `x` repeated until it has the given axes. */
  expand(x: Value, axes: readonly Axis[]): Value {
    return this.operator('Expand', [x, this.#sizes(axes)], x.dtype, axes);
  }

  /** Where `mask` `[size]` holds, in order: int64 `[axis]`, whose name is the caller's. */
  nonZero(mask: Value, axis: string): Value {
    const found = this.operator('NonZero', [mask], 'int64', [1, axis]);
    return this.graph.measured(this.operator('Squeeze', [found, this.integers([0])], 'int64', [axis]));
  }

  /** For every row of `x` `[rows, …]`, the sum of the rows before it. */
  sumBefore(x: Value): Value {
    const axis = this.graph.constant('int64', [], [0]);
    return this.operator('CumSum', [x, axis], x.dtype, x.axes, { exclusive: 1 });
  }

  /** 0, 1, 2, … as int64 `[axis]`. */
  range(axis: Axis): Value {
    const limit = this.operator('Squeeze', [this.graph.size(axis)], 'int64', []);
    const zero = this.graph.constant('int64', [], [0]);
    const one = this.graph.constant('int64', [], [1]);
    return this.operator('Range', [zero, limit, one], 'int64', [axis]);
  }

  /** The `count` largest elements of the last axis, largest first, and where they are. `count` is an int64 `[1]`. */
  topK(x: Value, count: Value, axis: Axis): [Value, Value] {
    const axes = [...x.axes.slice(0, -1), axis];
    const outputs = [
      { dtype: x.dtype, axes },
      { dtype: 'int64' as const, axes },
    ];
    const [values, indices] = this.graph.node(this.path, 'TopK', [x, count], outputs, { axis: -1 });
    return [values!, indices!];
  }

  // Over the last axis, which stays with size 1.
  sumLast = (x: Value): Value => this.#reduceLast('ReduceSum', x);
  maxLast = (x: Value): Value => this.#reduceLast('ReduceMax', x);

  /**
   * Runs `step` over axis 1 (time) of the inputs `[batch, time, …]`, carrying a state `[batch, …]`.
   * Returns the last state and what each step gave, along axis 1.
   */
  scan(
    state: Value,
    inputs: readonly Value[],
    step: (m: Scope, state: Value, inputs: readonly Value[]) => [next: Value, output: Value],
  ): [last: Value, outputs: Value] {
    const body = new Graph(`${this.path}/scan`, this.graph);
    const inner = new Scope(body, this.weights, this.#matrices, `${this.path}/scan`);
    const name = (what: string) => `${this.path}/scan/${what}`;
    const stateIn = body.input(name('state'), state.dtype, state.axes);
    const slices = inputs.map((input, i) =>
      body.input(name(`input_${i}`), input.dtype, [input.axes[0]!, ...input.axes.slice(2)]),
    );
    const [next, output] = step(inner, stateIn, slices);
    body.result(next);
    body.result(output);

    const stacked = [output.axes[0]!, inputs[0]!.axes[1]!, ...output.axes.slice(1)];
    const outputs = [state, { dtype: output.dtype, axes: stacked }];
    const [last, all] = this.graph.node(this.path, 'Scan', [state, ...inputs], outputs, {
      body,
      num_scan_inputs: inputs.length,
      scan_input_axes: inputs.map(() => 1),
      scan_output_axes: [1],
    });
    return [last!, all!];
  }

  #join(name: string): string {
    return this.path ? `${this.path}.${name}` : name;
  }

  #expect(holds: unknown, problem: string): void {
    if (!holds) throw new GraphError(this.path, problem);
  }

  #sizes(axes: readonly Axis[]): Value {
    if (axes.every((axis) => typeof axis === 'number')) return this.integers(axes as number[]);
    const sizes = axes.map((axis) => this.graph.size(axis));
    return this.operator('Concat', sizes, 'int64', [axes.length], { axis: 0 });
  }

  #reduceLast(operator: string, x: Value): Value {
    const axes = [...x.axes.slice(0, -1), 1];
    return this.operator(operator, [x, this.integers([-1])], x.dtype, axes, { keepdims: 1 });
  }

  #like(operator: string, x: Value, attributes?: Record<string, Attribute>): Value {
    return this.operator(operator, [x], x.dtype, x.axes, attributes);
  }

  #binary(operator: string, a: Operand, b: Operand, result?: DType): Value {
    const dtype = typeof a === 'object' ? a.dtype : typeof b === 'object' ? b.dtype : 'float32';
    const [left, right] = [this.#operand(a, dtype), this.#operand(b, dtype)];
    this.#expect(left.dtype === right.dtype, `${operator} of ${left.dtype} and ${right.dtype}`);
    const axes = broadcastAxes(left.axes, right.axes);
    this.#expect(axes, `cannot broadcast ${formatAxes(left.axes)} with ${formatAxes(right.axes)}`);
    return this.operator(operator, [left, right], result ?? dtype, axes ?? []);
  }

  #operand(operand: Operand, dtype: DType): Value {
    if (typeof operand === 'object') return operand;
    return this.graph.constant(dtype === 'int64' ? 'int64' : 'float32', [], [operand]);
  }

  /** An operator with one result that has no method of its own; a missing input is one that the operator can do without. */
  operator(
    operator: string,
    inputs: readonly (Value | undefined)[],
    dtype: DType,
    axes: readonly Axis[],
    attributes?: Readonly<Record<string, Attribute>>,
  ): Value {
    return this.graph.node(this.path || 'model', operator, inputs, [{ dtype, axes }], attributes)[0]!;
  }
}
