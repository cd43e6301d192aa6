/**
 * Matrices of int8 with one scale a column, multiplied by rows that are rounded to uint8 as they come. The products are exact integers, so a row's result does not
 * depend on its neighbours; and they run on the processor's own 8-bit instructions, at any number of rows.
 */

import type { Value } from '../../graph/graph.js';
import type { Dense, MatrixForm, Table } from '../../graph/matrix-form.js';
import type { Scope } from '../../graph/scope.js';
import type { Int8Form } from '../../quantize/choose.js';
import { quantizeColumns, quantizeRows } from '../../quantize/int8.js';
import { type RoundedRows, roundAround128, ZERO_POINT } from '../layers/rounding.js';
import { blockMatrices } from './blocks.js';
import type { OnMatrix } from './record.js';

/** The form of each matrix by its layer's path; one that is not named has one scale a column. */
export type Int8Plan = ReadonlyMap<string, Int8Form>;

/** The int8 form. */
export function int8Matrices(plan: Int8Plan, onMatrix: OnMatrix): MatrixForm {
  return {
    rowGroup: 1,
    linear(m, x, layers) {
      const parts = new Map<number, RoundedRows[]>();
      return layers.map((layer) => {
        const form = plan.get(layer.at.path) ?? { kind: 'columns', groups: 1 };
        if (form.kind === 'blocks') {
          return blockMatrices({ bits: 8, blockSize: form.blockSize }, onMatrix).linear(m, x, [layer])[0]!;
        }
        const rows = parts.get(form.groups) ?? roundParts(m, x, form.groups);
        parts.set(form.groups, rows);
        return multiply(rows, layer, onMatrix);
      });
    },

    table(m, name, tensor): Table {
      const quantized = quantizeRows(tensor);
      onMatrix({ path: m.at(name).path, form: { kind: 'columns', groups: 1 }, error: quantized.error });
      const values = m.stored(name, quantized.values);
      const scales = m.stored(`${name}_scales`, quantized.scales);
      return {
        rows: values.axes[0]!,
        lookUp(ids) {
          const scale = m.unsqueeze(m.gather(scales, ids), ids.axes.length);
          return m.mul(m.cast(m.gather(values, ids), 'float32'), scale);
        },
        product: (x) => product(m, roundAround128(m, x), m.transpose(values, [1, 0]), scales),
      };
    },
  };
}

/** Cuts `x` `[rows, input]` into equal parts along its input, each rounded with scales of its own. */
function roundParts(m: Scope, x: Value, count: number): RoundedRows[] {
  const parts = count === 1 ? [x] : m.splitEvenly(x, count);
  return parts.map((part) => roundAround128(m, part));
}

function multiply(parts: readonly RoundedRows[], { at, kernel, bias }: Dense, onMatrix: OnMatrix): Value {
  const quantized = quantizeColumns(kernel, parts.length);
  onMatrix({ path: at.path, form: { kind: 'columns', groups: parts.length }, error: quantized.error });
  const products = quantized.groups.map(({ values, scales }, i) => {
    const suffix = parts.length === 1 ? '' : `_${i}`;
    const weights = at.stored(`kernel${suffix}`, values);
    return product(at, parts[i]!, weights, at.stored(`kernel_scales${suffix}`, scales));
  });
  const sum = products.reduce((a, b) => at.add(a, b));
  return bias ? at.add(sum, at.initializer('bias', bias)) : sum;
}

/**
 * `x weights` for int8 `weights` `[input, output]` with `scales` `[output]`: float32 `[rows, output]`. onnxruntime's operator scales the columns while the sums are in the
 * cache; ONNX's own MatMulInteger with a cast and a product takes a tenth longer in a prefill.
 */
function product(m: Scope, { values, scale }: RoundedRows, weights: Value, scales: Value): Value {
  const one = m.constant([1], []);
  const inputs = [values, weights, one, scales, m.graph.constant('uint8', [], [ZERO_POINT])];
  const axes = [values.axes[0]!, weights.axes[1]!];
  return m.mul(m.operator('com.microsoft.MatMulIntegerToFloat', inputs, 'float32', axes), scale);
}
