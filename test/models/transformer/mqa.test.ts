/** The Griffin paper's MQA transformer is a Griffin of attention blocks alone: but for its window, the graphs are the same. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Graph } from '../../../src/graph/graph.js';
import { Scope } from '../../../src/graph/scope.js';
import { WeightStore } from '../../../src/graph/weight-store.js';
import type { ModelFamily } from '../../../src/models/family.js';
import { griffinFamily } from '../../../src/models/griffin/family.js';
import { floatMatrices } from '../../../src/models/matrices/float.js';
import { transformerFamily } from '../../../src/models/transformer/family.js';

/** mqa-tiny, of which DeepMind's code made a golden (test/parity/goldens.test.ts), as either family is told of it. */
const GRIFFIN = {
  vocab_size: 512,
  width: 48,
  mlp_expanded_width: 76,
  num_heads: 3,
  embeddings_scale_by_sqrt_dim: false,
  attention_window_size: 256,
  logits_soft_cap: 0,
  block_types: new Array<string>(4).fill('attention'),
};
const TRANSFORMER = {
  model_type: 'mqa',
  vocab_size: 512,
  hidden_size: 48,
  intermediate_size: 76,
  num_hidden_layers: 4,
  num_attention_heads: 3,
  head_dim: 16,
};

function graphOf(family: ModelFamily, json: Readonly<Record<string, unknown>>): Graph {
  const graph = new Graph('model');
  family
    .untrained({ modelConfig: { path: 'config', json } })
    .build(new Scope(graph, new WeightStore(new Map()), floatMatrices('float32')));
  return graph;
}

describe('the MQA transformer', () => {
  const [griffin, transformer] = [graphOf(griffinFamily, GRIFFIN), graphOf(transformerFamily, TRANSFORMER)];

  it("has a Griffin's nodes, weights, inputs and outputs", () => {
    assert.ok(griffin.nodes.length > 100);
    assert.deepEqual(transformer.nodes, griffin.nodes);
    assert.deepEqual(transformer.inputs, griffin.inputs);
    assert.deepEqual(transformer.outputs, griffin.outputs);
    const shapes = (graph: Graph) => [...graph.weights].map(([name, { shape }]) => [name, shape]);
    assert.deepEqual(shapes(transformer), shapes(griffin));
  });

  it('has its constants but one, the window, which it never fills', () => {
    const values = (graph: Graph) => [...graph.constants.values()].map(({ data }) => [...data].map(Number));
    const [ours, theirs] = [values(transformer), values(griffin)];
    assert.equal(ours.length, theirs.length);
    const unlike = ours.flatMap((each, i) => {
      return JSON.stringify(each) === JSON.stringify(theirs[i]) ? [] : [[each, theirs[i]]];
    });
    assert.deepEqual(unlike, [[[2 ** 40], [256]]]);
  });

  it('keeps keys and values in a cache, one head a layer', () => {
    const { state } = transformerFamily
      .untrained({ modelConfig: { path: 'config', json: TRANSFORMER } })
      .prepare(new Map());
    assert.deepEqual(
      state('float32').map(({ kind, shape }) => [kind, shape]),
      new Array(8).fill(['cache', [1, 8192, 16]]),
    );
  });
});
