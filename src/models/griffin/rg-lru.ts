/** The real-gated linear recurrent unit (Griffin paper, section 2.4; recurrentgemma/jax/layers.py, RGLRU). Float32 whatever the precision. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { mergeColumns, takeFirst } from '../../graph/transform.js';
import type { LayerState } from '../layers/model-state.js';
import type { Sequence } from '../layers/sequence.js';
import type { GriffinConfig } from './config.js';

/** The constant c of the paper, by which the recurrence gate scales the decay. */
export const C = 8;

/** What every RG-LRU of one call shares. */
export interface RecurrenceSteps {
  /** The factor on the gated decay: -c, and 0 at padding, where a = 1 and the input vanishes. float32 `[batch, time, 1]`. */
  readonly decay: Value;
  /** Added to log a: so low at position 0 that a = 0 exactly, and the input's factor 1. float32 `[batch, time, 1]`. */
  readonly reset: Value;
}

/** Low enough that exp() gives 0, and that twice it is still a float32. */
const LOG_OF_ZERO = -1e30;

/** Works out {@link RecurrenceSteps} once for all layers. */
export function recurrenceSteps(m: Scope, sequence: Sequence): RecurrenceSteps {
  const first = m.and(m.equal(sequence.positions, 0), sequence.valid);
  return {
    decay: m.mul(m.unsqueeze(m.cast(sequence.valid, 'float32'), 2), -C),
    reset: m.mul(m.unsqueeze(m.cast(first, 'float32'), 2), LOG_OF_ZERO),
  };
}

/** `h_t = a_t h_{t-1} + sqrt(1 - a_t^2) (i_t x_t)` over `x` `[batch, time, lru_width]`, carried on in the state. */
export function rgLru(
  m: Scope,
  config: GriffinConfig,
  x: Value,
  steps: RecurrenceSteps,
  state: LayerState,
): Value {
  const [inputGate, recurrenceGate] = gates(m, config, x);
  const softplusA = m.softplus(m.weight('a_param', [config.lruWidth]));
  const logA = m.add(m.mul(m.mul(recurrenceGate, steps.decay), softplusA), steps.reset);
  const multiplier = m.sqrt(m.sub(1, m.exp(m.mul(logA, 2))));
  const input = m.mul(m.mul(x, inputGate), multiplier);

  const [after, y] = m.scan(state.before('recurrent_state'), [m.exp(logA), input], (step, h, [a, gatedX]) => {
    const next = step.add(step.mul(a!, h), gatedX!);
    return [next, next];
  });
  state.after('recurrent_state', after);
  return y;
}

/**
 * Input and recurrence gate, `sigmoid` of a block-diagonal layer each; one product for each block serves both. A product of all blocks at once would add up in another
 * order for one row than for many, and take longer for fewer than a hundred: onnxruntime lays out only single matrices beforehand.
 */
function gates(m: Scope, { numHeads, lruWidth }: GriffinConfig, x: Value): [Value, Value] {
  const block = lruWidth / numHeads;
  const [batch, time] = x.axes as [string, string];
  const rows = `${batch}*${time}`;
  const named = ['input_gate', 'a_gate'].map((name) => ({
    w: m.at(name).tensor('w', [numHeads, block, block]),
    b: m.at(name).tensor('b', [numHeads, block]),
  }));
  const blocks = m.splitEvenly(m.reshape(x, [rows, lruWidth]), numHeads);
  const products = blocks.map((each, i) => {
    const w = mergeColumns(named.map((gate) => takeFirst(gate.w, i)));
    return m.matmul(each, m.initializer(`gates.w_${i}`, w));
  });
  const b = m.initializer('gates.b', mergeColumns(named.map((gate) => gate.b)));
  const all = m.add(m.reshape(m.concat(products, 1), [rows, numHeads, 2 * block]), b);
  const [inputGate, recurrenceGate] = m
    .split(m.sigmoid(all), [block, block])
    .map((gate) => m.reshape(gate, [batch, time, lruWidth]));
  return [inputGate!, recurrenceGate!];
}
