/** Matrices of 4 or 8 bits in blocks along their input, each with a scale: the smallest file, multiplied by onnxruntime's `MatMulNBits`. */

import { type Axis, multiplyAxes } from '../../graph/axis.js';
import type { Value } from '../../graph/graph.js';
import type { Dense, MatrixForm, Table } from '../../graph/matrix-form.js';
import type { Scope } from '../../graph/scope.js';
import { type BlockForm, quantizeBlockRows, quantizeBlocks } from '../../quantize/blocks.js';
import type { OnMatrix } from './record.js';

/** Rounds the other operand to int8 block by block: onnxruntime's fast path, and the only one for 8 bits. */
const ACCURACY_LEVEL = 4;

/** A matrix `[input, output]` as it lies in the file. */
interface Blocks {
  /** uint8 `[output, blocks, bytes of a block]`. */
  readonly values: Value;
  /** float32 `[output, blocks]`. */
  readonly scales: Value;
}

/**
 * The form of blocks. onnxruntime multiplies two rows at a time; in 4-bit blocks of more than 32 a last one that is left over gets its sums in another order (10⁻⁷), which
 * rounding the next layer's input makes a thousand times more of.
 */
export function blockMatrices(form: BlockForm, onMatrix: OnMatrix): MatrixForm {
  return {
    rowGroup: form.bits === 4 && form.blockSize > 32 ? 2 : 1,
    linear: (_, x, layers) =>
      layers.map(({ at, kernel, bias }: Dense) => {
        const { values, scales, error } = quantizeBlocks(kernel, form);
        onMatrix({ path: at.path, form: { kind: 'blocks', ...form }, error });
        const stored = { values: at.stored('kernel', values), scales: at.stored('kernel_scales', scales) };
        return multiply(at, x, stored, form, bias && at.initializer('bias', bias));
      }),

    table(m, name, tensor): Table {
      const quantized = quantizeBlockRows(tensor, form);
      onMatrix({ path: m.at(name).path, form: { kind: 'blocks', ...form }, error: quantized.error });
      const values = m.stored(name, quantized.values);
      const scales = m.stored(`${name}_scales`, quantized.scales);
      let isLookedUp = false;
      return {
        rows: values.axes[0]!,
        lookUp: (ids) => {
          isLookedUp = true;
          const rows = { values: m.gather(values, ids), scales: m.gather(scales, ids) };
          return dequantize(m, rows, form, tensor.shape[1]!);
        },
        product(x) {
          const factor = isLookedUp ? m.graph.alias(values) : values;
          return multiply(m, x, { values: factor, scales }, form);
        },
      };
    },
  };
}

function multiply(m: Scope, x: Value, { values, scales }: Blocks, form: BlockForm, bias?: Value): Value {
  const output = values.axes[0]!;
  const inputs = [x, values, scales, undefined, undefined, ...(bias ? [bias] : [])];
  const dense = bias ? inputs : inputs.slice(0, 3);
  return m.operator('com.microsoft.MatMulNBits', dense, 'float32', [x.axes[0]!, output], {
    K: x.axes[1] as number,
    N: output as number,
    bits: form.bits,
    block_size: form.blockSize,
    accuracy_level: ACCURACY_LEVEL,
  });
}

/**
 * Rows of a table as float32: `values` `[…, blocks, bytes]`, `scales` `[…, blocks]` to `[…, width]`. Plain operators on the packed bytes, so that the table
 * stays mapped from the file, once.
 */
function dequantize(
  m: Scope,
  { values, scales }: Blocks,
  { bits, blockSize }: BlockForm,
  width: number,
): Value {
  const leading = scales.axes.slice(0, -1);
  const blocks = scales.axes.at(-1)! as number;
  const integers = bits === 8 ? values : m.reshape(nibbles(m, values), [...leading, blocks, blockSize]);
  const centred = m.sub(m.cast(integers, 'float32'), 2 ** (bits - 1));
  const weights = m.mul(centred, m.unsqueeze(scales, scales.axes.length));
  const all = m.reshape(weights, [...leading, multiplyAxes([blocks, blockSize])]);
  return blocks * blockSize === width ? all : m.slice(all, leading.length, 0, width);
}

/** Two 4-bit numbers from each byte, the low half first: `[…, bytes]` to `[…, bytes, 2]`. */
function nibbles(m: Scope, bytes: Value): Value {
  const axes: Axis[] = [...bytes.axes, 1];
  const last = axes.length - 1;
  const column = m.unsqueeze(bytes, last);
  const low = m.operator('BitwiseAnd', [column, m.graph.constant('uint8', [], [15])], 'uint8', axes);
  const high = m.operator('BitShift', [column, m.graph.constant('uint8', [], [4])], 'uint8', axes, {
    direction: 'RIGHT',
  });
  return m.concat([low, high], last);
}
