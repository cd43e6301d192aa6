/** How fast the elements of a head turn, beside what transformers computes for released models. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Graph } from '../../../src/graph/graph.js';
import { Scope } from '../../../src/graph/scope.js';
import { WeightStore } from '../../../src/graph/weight-store.js';
import { type Rope, ropeTable } from '../../../src/models/layers/rope.js';

/** The frequencies, in radians a token, that the graph multiplies positions by. */
function frequencies(rope: Rope): number[] {
  const graph = new Graph('rope');
  ropeTable(new Scope(graph, new WeightStore(new Map())), graph.input('p', 'int64', ['batch', 'time']), rope);
  const [found] = [...graph.constants.values()].filter(({ shape }) => shape.length === 4);
  return [...(found!.data as Float32Array)];
}

/** Where both round to float32 at each step, they are at most two roundings apart. */
function assertSame(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(actual[i]! / value - 1) < 2 ** -22, `${i}: ${actual[i]}, not ${value}`);
  }
}

describe('frequencies', () => {
  /*
   * transformers 5.23: ROPE_INIT_FUNCTIONS['llama3'](LlamaConfig(hidden_size=2048, num_attention_heads=32, max_position_embeddings=131072,
   * rope_parameters=dict(rope_type='llama3', rope_theta=500000.0, factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
   * original_max_position_embeddings=8192)))[0].tolist(), which are the values of meta-llama/Llama-3.2-1B.
   */
  const LLAMA_32_1B = [
    1.0, 0.663601279258728, 0.44036662578582764, 0.2922278344631195, 0.193922758102417, 0.12868738174438477,
    0.08539710193872452, 0.05666961893439293, 0.03760603070259094, 0.02495540864765644, 0.016560440883040428,
    0.010989529080688953, 0.00729266507551074, 0.00483942124992609, 0.0032114461064338684,
    0.0012905480107292533, 0.000429556705057621, 9.708286233944818e-5, 1.9461638657958247e-5,
    1.291476746700937e-5, 8.570255886297673e-6, 5.687232260243036e-6, 3.7740544485131977e-6,
    2.504467147446121e-6, 1.6619674170215148e-6, 1.1028836297555245e-6, 7.318749339901842e-7,
    4.856731266045244e-7, 3.2229328894572973e-7, 2.1387423032592778e-7, 1.4192720243499934e-7,
    9.418306490260875e-8,
  ];

  it('of Llama 3.2 are kept, blended and divided by 32', () => {
    const scaling = {
      factor: 32,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalPositions: 8192,
    };
    assertSame(frequencies({ rotated: 64, base: 500_000, scaling }), LLAMA_32_1B);
  });

  it('without scaling are powers of the base', () => {
    // Above the blended ones nothing is scaled.
    assertSame(frequencies({ rotated: 64, base: 500_000 }).slice(0, 15), LLAMA_32_1B.slice(0, 15));
    // gemma/layers.py, RoPE of 256 elements: 10000 ** -(2 / 256 * i).
    const gemma = frequencies({ rotated: 256, base: 10_000 });
    assertSame([gemma[0]!, gemma[32]!, gemma[64]!, gemma[96]!], [1, 0.1, 0.01, 0.001]);
    assert.equal(gemma.length, 128);
  });
});
