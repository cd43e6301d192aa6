/** Matrices as floating-point numbers: float32 for exactness, float16 for half the file. Products are float32 in both. */

import type { Value } from '../../graph/graph.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import type { Dense, MatrixForm, Table } from '../../graph/matrix-form.js';
import type { Scope } from '../../graph/scope.js';
import { castTensor, mergeColumns } from '../../graph/transform.js';

/** The form whose file holds `dtype`. */
export function floatMatrices(dtype: 'float32' | 'float16'): MatrixForm {
  const stored = (m: Scope, name: string, tensor: LazyTensor) => m.stored(name, castTensor(tensor, dtype));
  return {
    rowGroup: 1,
    // Layers that share an input are one product: one pass over it, and fewer operators.
    linear(m, x, layers) {
      const at = layers.length === 1 ? layers[0]!.at : m;
      const kernel = stored(at, 'kernel', mergeColumns(layers.map((layer) => layer.kernel)));
      const product = m.matmul(x, m.cast(kernel, 'float32'));
      return m.split(addBias(at, product, layers), layers.map(outputSize));
    },

    table(m, name, tensor): Table {
      const table = stored(m, name, tensor);
      let isLookedUp = false;
      return {
        rows: table.axes[0]!,
        lookUp(ids) {
          isLookedUp = true;
          return m.cast(m.gather(table, ids), 'float32');
        },
        product(x) {
          const factor = isLookedUp ? m.graph.alias(table) : table;
          return m.matmulTransposed(x, m.cast(factor, 'float32'));
        },
      };
    },
  };
}

function addBias(m: Scope, product: Value, layers: readonly Dense[]): Value {
  const biases = layers.flatMap(({ bias }) => bias ?? []);
  return biases.length === layers.length
    ? m.add(product, m.initializer('bias', mergeColumns(biases)))
    : product;
}

function outputSize({ kernel }: Dense): number {
  return kernel.shape[1]!;
}
