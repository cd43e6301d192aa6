/** The selective state space model (Mamba paper, section 3.2, algorithm 2; transformers/models/mamba/modeling_mamba.py, `slow_forward`). Float32 whatever the precision. */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import type { LayerState } from '../layers/model-state.js';

/** What the recurrence selects by, for every token. */
export interface Selection {
  /** Step sizes, 0 at padding, where the state then stays as it is: `[batch, time, channels]`. */
  readonly delta: Value;
  /** What of the input enters the state, and what of the state is read: `[batch, time, state]`. */
  readonly input: Value;
  readonly output: Value;
}

/**
 * `h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t` and `y_t = C_t h_t + D x_t` over `x` `[batch, time, channels]`, with a state `[channels, state]` that is carried on.
 * A is diagonal and, being stored as the logarithm of its negative, never lets a state grow.
 */
export function selectiveScan(
  m: Scope,
  { channels, stateSize }: { readonly channels: number; readonly stateSize: number },
  x: Value,
  { delta, input, output }: Selection,
  state: LayerState,
): Value {
  const a = m.mul(m.exp(m.weight('A_log', [channels, stateSize])), -1);
  const d = m.weight('D', [channels]);
  const [after, y] = m.scan(
    state.before('ssm_state'),
    [delta, m.mul(delta, x), input, output],
    (step, h, [deltaStep, gatedX, b, c]) => {
      const decay = step.exp(step.mul(step.unsqueeze(deltaStep!, 2), a));
      const entering = step.mul(step.unsqueeze(gatedX!, 2), step.unsqueeze(b!, 1));
      const next = step.add(step.mul(decay, h), entering);
      return [next, step.squeezeLast(step.matmul(next, step.unsqueeze(c!, 2)))];
    },
  );
  state.after('ssm_state', after);
  return m.add(y, m.mul(x, d));
}
