/**
 * Matrices of int8 with one scale a column, multiplied by rows that are rounded to uint8 as they come. The products are exact integers, so a row's result does not
 * depend on its neighbours; and they run on the processor's own 8-bit instructions, at any number of rows.
 */

import type { Value } from '../../graph/graph.js';
import type { Dense, MatrixForm, Table } from '../../graph/matrix-form.js';
import type { Scope } from '../../graph/scope.js';
import type { Int8Form } from '../../quantize/choose.js';
import { quantizeColumns, quantizeRows } from '../../quantize/int8.js';
import { blockMatrices } from './blocks.js';
import type { OnMatrix } from './record.js';

/** The form of each matrix by its layer's path; one that is not named has one scale a column. */
export type Int8Plan = ReadonlyMap<string, Int8Form>;

/** Rows rounded to uint8 around 128: `(values - 128) * scale`. (Signed values are 10 to 30 times slower in onnxruntime.) */
interface QuantizedRows {
  /** uint8 `[rows, input]`. */
  readonly values: Value;
  /** float32 `[rows, 1]`. */
  readonly scale: Value;
}

const ZERO_POINT = 128;
const LARGEST = 127;
/** Keeps the scale of a row of zeros from being 0. */
const TINY = 1e-30;

/** The int8 form. */
export function int8Matrices(plan: Int8Plan, onMatrix: OnMatrix): MatrixForm {
  return {
    linear(m, x, layers) {
      const parts = new Map<number, QuantizedRows[]>();
      return layers.map((layer) => {
        const form = plan.get(layer.at.path) ?? { kind: 'columns', groups: 1 };
        if (form.kind === 'blocks') {
          return blockMatrices({ bits: 8, blockSize: form.blockSize }, onMatrix).linear(m, x, [layer])[0]!;
        }
        const rows = parts.get(form.groups) ?? quantizeParts(m, x, form.groups);
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
        product: (x) => product(m, quantizeRow(m, x), m.transpose(values, [1, 0]), scales),
      };
    },
  };
}

/** Cuts `x` `[rows, input]` into equal parts along its input, each rounded with scales of its own. */
function quantizeParts(m: Scope, x: Value, count: number): QuantizedRows[] {
  const size = (x.axes[1] as number) / count;
  const parts = count === 1 ? [x] : m.split(x, new Array<number>(count).fill(size));
  return parts.map((part) => quantizeRow(m, part));
}

function quantizeRow(m: Scope, x: Value): QuantizedRows {
  const rows = x.axes[0]!;
  const scale = m.mul(m.max(m.maxLast(m.abs(x)), TINY), 1 / LARGEST);
  const zeroPoint = m.expand(m.graph.constant('uint8', [1], [ZERO_POINT]), [rows]);
  const values = m.operator('QuantizeLinear', [x, m.squeezeLast(scale), zeroPoint], 'uint8', x.axes, {
    axis: 0,
  });
  return { values, scale };
}

function multiply(parts: readonly QuantizedRows[], { at, kernel, bias }: Dense, onMatrix: OnMatrix): Value {
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

/** `x weights` for int8 `weights` `[input, output]` with `scales` `[output]`: float32 `[rows, output]`. */
function product(m: Scope, { values, scale }: QuantizedRows, weights: Value, scales: Value): Value {
  const axes = [values.axes[0]!, weights.axes[1]!];
  const zeroPoint = m.graph.constant('uint8', [], [ZERO_POINT]);
  if (process.env.MMI2F !== '1') {
    const sums = m.operator('MatMulInteger', [values, weights, zeroPoint], 'int32', axes);
    return m.mul(m.mul(m.cast(sums, 'float32'), scales), scale);
  }
  const one = m.constant([1], []);
  const inputs = [values, weights, one, scales, zeroPoint];
  return m.mul(m.operator('com.microsoft.MatMulIntegerToFloat', inputs, 'float32', axes), scale);
}
