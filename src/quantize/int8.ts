/** Eight-bit weights with one scale a column, or a table's row, for `MatMulInteger`. */

import { RecgemmaError } from '../errors.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import { borrowShared, giveBack } from '../graph/scratch.js';
import { Held } from './held.js';
import { ErrorSum, quantize } from './quantize.js';
import { inPieces, known, type Quantized, quantizedRows } from './quantized-rows.js';
import { columnsOf, rowsOf } from './source.js';

/** One group of K of a quantized kernel: `w ≈ values * scales`. */
export interface Int8Group {
  /** int8 `[K / groups, N]`, -127 … 127. */
  readonly values: LazyTensor;
  /** float32 `[N]`. */
  readonly scales: LazyTensor;
}

/** A quantized kernel. */
export interface Int8Columns {
  readonly groups: readonly Int8Group[];
  /** The weights' relative Frobenius error, known once one of the tensors was read. */
  error(): number;
}

/** A kernel's groups while their tensors are being read. */
interface Columns {
  /** int8 `[K, N]`. */
  readonly values: Uint8Array<SharedArrayBuffer>;
  /** float32 `[N]` of each group. */
  readonly scales: readonly Float32Array[];
}

/** A table `[V, D]` of any float dtype with one scale a row: values int8 `[V, D]`, -127 … 127; scales float32 `[V]`. */
export function quantizeRows(table: LazyTensor): Quantized {
  const source = rowsOf(table);
  const form = { encoding: 'int8', blockSize: source.inputs } as const;
  return quantizedRows(source, form, { dtype: 'int8', values: table.shape, scales: [source.outputs] });
}

/**
 * A kernel `[K, N]` of any float dtype, cut along K into `groups` equal parts, each with one scale a column. The first tensor that is
 * read quantizes the kernel for all; the result is let go when each was read once.
 */
export function quantizeColumns(kernel: LazyTensor, groups: number): Int8Columns {
  const source = columnsOf(kernel);
  const { inputs, outputs } = source;
  if (inputs % groups !== 0) {
    throw new RecgemmaError('failed', `cannot cut ${inputs} inputs into ${groups} groups`);
  }
  const blockSize = inputs / groups;
  const groupBytes = blockSize * outputs;
  let error: number | undefined;

  async function quantizeInto({ values, scales }: Columns): Promise<void> {
    const sum = new ErrorSum();
    for await (const band of quantize(source, { encoding: 'int8', blockSize }, values)) {
      for (let i = 0; i < band.scales.length; i++) {
        scales[i % groups]![band.first + Math.floor(i / groups)] = band.scales[i]!;
      }
      sum.add(band);
    }
    error = sum.relative;
  }

  const held = new Held<Columns>({
    parts: 2 * groups,
    async make() {
      const scales = Array.from({ length: groups }, () => new Float32Array(outputs));
      const columns = { values: borrowShared(inputs * outputs), scales };
      try {
        await quantizeInto(columns);
        return columns;
      } catch (error) {
        giveBack(columns.values);
        throw error;
      }
    },
    letGo: ({ values }) => giveBack(values),
  });

  return {
    groups: Array.from({ length: groups }, (_, g) => ({
      values: {
        dtype: 'int8',
        shape: [blockSize, outputs],
        read: () =>
          held.read(2 * g, ({ values }) => inPieces(values.subarray(g * groupBytes, (g + 1) * groupBytes))),
      },
      scales: {
        dtype: 'float32',
        shape: [outputs],
        read: () => held.read(2 * g + 1, ({ scales }) => inPieces(new Uint8Array(scales[g]!.buffer))),
      },
    })),
    error: () => known(error),
  };
}
