/** The state of a model as the graph's own inputs and outputs, handed to the layer that owns each. */

import { RecgemmaError } from '../../errors.js';
import type { Graph, Value } from '../../graph/graph.js';
import { type StateTensor, stateNames } from '../state-tensor.js';

/** One layer's state. */
export interface LayerState {
  /** The state before this call, `[batch, …]`; a ring's first axis is `cached`, how much of it is fed. */
  before(what: string): Value;
  /** Says what the state is after this call; for a ring, its new rows `[batch, time, …]`. */
  after(what: string, value: Value): void;
}

/** Declares every state input at once, so that the named axes they bring are known to all layers. */
export function declareState(graph: Graph, tensors: readonly StateTensor[]): (layer: number) => LayerState {
  const inputs = new Map(
    tensors.map(({ input, kind, dtype, shape }) => {
      const axes = kind === 'ring' ? ['cached', ...shape.slice(1)] : shape;
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
