/** The state of a model as the graph's own inputs and outputs, handed to the layer that owns each. */

import { RecgemmaError } from '../../errors.js';
import type { Graph, Value } from '../../graph/graph.js';
import { hasSlots, type StateTensor, stateNames } from '../state-tensor.js';

/** One layer's state. */
export interface LayerState {
  /** The state before this call, `[batch, …]`; with slots `[batch, kv_heads, cached, …]`, of which as many are fed as are of use. */
  before(what: string): Value;
  /** Says what the state is after this call; with slots, the new rows `[batch, kv_heads, time, …]`. */
  after(what: string, value: Value): void;
}

/** Declares every state input at once, so that the named axes they bring are known to all layers. */
export function declareState(graph: Graph, tensors: readonly StateTensor[]): (layer: number) => LayerState {
  const inputs = new Map(
    tensors.map((tensor) => {
      const { input, dtype, shape } = tensor;
      const axes = hasSlots(tensor) ? [shape[0]!, 'cached', ...shape.slice(2)] : shape;
      return [input, graph.input(input, dtype, ['batch', ...axes])];
    }),
  );
  return (layer) => ({
    before(what) {
      const value = inputs.get(stateNames(layer, what).input);
      if (!value) throw new RecgemmaError('failed', `layer ${layer} has no state named ${what}`);
      return value;
    },
    after: (what, value) => graph.output(stateNames(layer, what).output, value),
  });
}
