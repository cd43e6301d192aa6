/** The builder: names of nodes and weights, inferred shapes, and errors that name the place. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GraphError } from '../../src/graph/axis.js';
import { Graph } from '../../src/graph/graph.js';
import { Scope } from '../../src/graph/scope.js';
import { memoryTensor } from '../../src/graph/transform.js';
import { WeightStore } from '../../src/graph/weight-store.js';

function scopeWith(weights: Readonly<Record<string, readonly number[]>> = {}) {
  const tensors = Object.entries(weights).map(
    ([name, shape]) => [name, memoryTensor('float32', shape, new Uint8Array())] as const,
  );
  const graph = new Graph('test');
  const store = new WeightStore(new Map(tensors));
  return { graph, store, m: new Scope(graph, store) };
}

/** A graph with `x` float32 `[batch, time, 6]`, `ids` int64 `[batch, time]` and a scope at `blocks.3`. */
function setUp() {
  const { graph, m } = scopeWith();
  const x = graph.input('x', 'float32', ['batch', 'time', 6]);
  const ids = graph.input('ids', 'int64', ['batch', 'time']);
  return { graph, m: m.at('blocks.3'), x, ids };
}

const fails = (work: () => unknown, message: string) =>
  assert.throws(work, (error) => {
    assert.ok(error instanceof GraphError);
    assert.equal(error.message, message);
    return true;
  });

describe('names', () => {
  it('of nodes and values are their place, numbered where they repeat', () => {
    const { graph, m, x } = setUp();
    const inner = m.at('mlp_block').at('ffw_up');
    const once = inner.exp(x);
    const twice = inner.exp(once);
    assert.deepEqual(
      graph.nodes.map(({ name, operator, inputs, outputs }) => ({ name, operator, inputs, outputs })),
      [
        {
          name: 'blocks.3.mlp_block.ffw_up/Exp',
          operator: 'Exp',
          inputs: ['x'],
          outputs: ['blocks.3.mlp_block.ffw_up/Exp_output'],
        },
        {
          name: 'blocks.3.mlp_block.ffw_up/Exp_1',
          operator: 'Exp',
          inputs: [once.name],
          outputs: [twice.name],
        },
      ],
    );
  });

  it('of weights are their path, and each is used once', () => {
    const { graph, m } = scopeWith({ 'blocks.0.norm.scale': [6], table: [9, 6] });
    const scale = m.at('blocks.0').at('norm').weight('scale', [6]);
    assert.deepEqual(scale, { name: 'blocks.0.norm.scale', dtype: 'float32', axes: [6] });
    assert.equal(m.weight('table', [9, 6]).name, 'table');
    assert.deepEqual([...graph.weights.keys()], ['blocks.0.norm.scale', 'table']);
    fails(() => m.weight('table', [9, 6]), 'test: two values are named "table"');
  });

  it('of inputs and outputs cannot be taken twice', () => {
    const { graph, x } = setUp();
    fails(() => graph.input('x', 'float32', []), 'test: two values are named "x"');
    graph.output('y', x);
    fails(() => graph.output('y', x), 'test: two values are named "y"');
  });
});

describe('constants', () => {
  it('that are equal are stored once', () => {
    const { graph, m, x, ids } = setUp();
    m.add(x, 1);
    m.at('elsewhere').mul(x, 1);
    m.add(ids, 1);
    m.constant([1]);
    const stored = [...graph.constants.values()].map(({ dtype, shape, data }) => [dtype, shape, [...data]]);
    assert.deepEqual(stored, [
      ['float32', [], [1]],
      ['int64', [], [1n]],
      ['float32', [1], [1]],
    ]);
  });

  it('must fill their shape', () => {
    const { m } = setUp();
    fails(() => m.constant([1, 2, 3], [2, 2]), 'test: a constant of shape [2, 2] got 3 values');
  });
});

describe('shapes', () => {
  it('follow from the operands', () => {
    const { graph, m, x, ids } = setUp();
    const w = m.constant(new Array(12).fill(0), [6, 2]);
    const shapes = {
      broadcast: m.add(m.unsqueeze(ids, 2), m.integers([1, 2, 3, 4])),
      compared: m.less(ids, 3),
      matmul: m.matmul(x, w),
      transposed: m.transpose(x, [2, 0, 1]),
      reshaped: m.reshape(x, ['batch*time', 6]),
      squeezed: m.squeezeLast(m.unsqueeze(x, 3)),
      concat: m.concat([x, x, m.slice(x, 1, 0, 3)], 1),
      sliced: m.slice(x, 1, 2, -1),
      sliceToEnd: m.slice(x, 2, 4),
      gathered: m.gather(w, ids),
      range: m.range('time'),
      sum: m.sumLast(x),
    };
    const found = Object.entries(shapes).map(([what, { dtype, axes }]) => [what, dtype, axes]);
    assert.deepEqual(found, [
      ['broadcast', 'int64', ['batch', 'time', 4]],
      ['compared', 'bool', ['batch', 'time']],
      ['matmul', 'float32', ['batch', 'time', 2]],
      ['transposed', 'float32', [6, 'batch', 'time']],
      ['reshaped', 'float32', ['batch*time', 6]],
      ['squeezed', 'float32', ['batch', 'time', 6]],
      ['concat', 'float32', ['batch', 'time+time+3', 6]],
      ['sliced', 'float32', ['batch', 'time-3', 6]],
      ['sliceToEnd', 'float32', ['batch', 'time', 2]],
      ['gathered', 'float32', ['batch', 'time', 2]],
      ['range', 'int64', ['time']],
      ['sum', 'float32', ['batch', 'time', 1]],
    ]);
    assert.deepEqual(
      m.split(x, [1, 5]).map(({ axes }) => axes),
      [
        ['batch', 'time', 1],
        ['batch', 'time', 5],
      ],
    );
    assert.equal(new Set(graph.nodes.map(({ name }) => name)).size, graph.nodes.length);
  });

  it('of a scan have the time axis back', () => {
    const { m, x } = setUp();
    const state = m.graph.input('state', 'float32', ['batch', 6]);
    const [last, all] = m.scan(state, [x], (step, before, [input]) => {
      assert.deepEqual(input!.axes, ['batch', 6]);
      const next = step.add(before, input!);
      return [next, next];
    });
    assert.deepEqual(
      [last.axes, all.axes],
      [
        ['batch', 6],
        ['batch', 'time', 6],
      ],
    );
  });

  it('that do not fit are refused with the place', () => {
    const { m, x, ids } = setUp();
    const w = m.constant([1, 2, 3, 4], [2, 2]);
    fails(() => m.add(x, w), 'blocks.3: cannot broadcast [batch, time, 6] with [2, 2]');
    fails(
      () => m.at('norm').mul(x, m.constant([1, 2])),
      'blocks.3.norm: cannot broadcast [batch, time, 6] with [2]',
    );
    fails(() => m.add(x, ids), 'blocks.3: Add of float32 and int64');
    fails(() => m.matmul(x, w), 'blocks.3: cannot multiply [batch, time, 6] by [2, 2]');
    fails(
      () => m.matmulTransposed(w, m.constant([1, 2, 3])),
      'blocks.3: cannot multiply [2, 2] by [3] transposed',
    );
    fails(() => m.reshape(x, ['batch', 6]), 'blocks.3: cannot reshape [batch, time, 6] to [batch, 6]');
    fails(() => m.transpose(x, [1, 0]), 'blocks.3: cannot permute [batch, time, 6] by (1, 0)');
    fails(() => m.split(x, [2, 2]), 'blocks.3: cannot split [batch, time, 6] into [2, 2]');
    fails(() => m.squeezeLast(x), 'blocks.3: the last axis of [batch, time, 6] is not 1');
    fails(() => m.concat([x, w], 2), 'blocks.3: cannot concatenate [batch, time, 6] and [2, 2] over axis 2');
    fails(() => m.concat([], 0), 'blocks.3: nothing to concatenate');
    fails(() => m.rmsNorm(x, m.constant([1, 2]), 1e-6), 'blocks.3: cannot scale [batch, time, 6] by [2]');
    fails(() => m.range('slots'), 'test: no input has an axis named slots');
  });
});
