/** How this processor multiplies uint8 activations by int8 weights without losing anything: found out by multiplying, not by its name. */

import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { UnavailableError } from '../errors.js';
import { encodeModel } from '../graph/encode.js';
import { Graph } from '../graph/graph.js';

/**
 * `direct`: uint8 × int8 as it is. `unsigned`: onnxruntime turns the weights into uint8 while loading, for x86 without VNNI or AMX, whose instruction for
 * uint8 × int8 adds two products in 16 bits and stops at 32767.
 */
export type Int8Products = 'direct' | 'unsigned';

/** What the probe needs of onnxruntime-node. */
export interface Onnxruntime {
  readonly InferenceSession: typeof InferenceSession;
  readonly Tensor: typeof Tensor;
}

/** Rows of weights in the probe: enough for every kernel's inner loop. */
const INPUT = 64;
const OUTPUT = 32;
/** The largest activation less its zero point, and the largest weight. */
const ACTIVATION = 255;
const ZERO_POINT = 128;
const WEIGHT = 127;

/**
 * Chooses the form, quickest first.
 * @param isExact whether products come out exact in a form.
 * @throws UnavailableError where they do in none.
 */
export async function chooseInt8Products(
  isExact: (form: Int8Products) => Promise<boolean>,
): Promise<Int8Products> {
  for (const form of ['direct', 'unsigned'] as const) if (await isExact(form)) return form;
  throw new UnavailableError("onnxruntime's 8-bit products are not exact on this processor.", {
    hint: 'Convert the checkpoint with --precision int4 or fp32 for this machine.',
  });
}

/** Whether the largest products there are, 1 and 3 rows of 255 by columns of 127 and -127, give the exact integers. */
export async function int8ProductsAreExact(
  { InferenceSession, Tensor }: Onnxruntime,
  form: Int8Products,
): Promise<boolean> {
  const session = await InferenceSession.create(probeModel(), {
    executionProviders: ['cpu'],
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
    extra: { session: int8Options(form) },
  });
  try {
    for (const rows of [1, 3]) {
      const x = new Tensor('uint8', new Uint8Array(rows * INPUT).fill(ACTIVATION), [rows, INPUT]);
      const { y } = await session.run({ x });
      const sum = INPUT * (ACTIVATION - ZERO_POINT) * WEIGHT;
      const exact = [...(y!.data as Float32Array)].every((value, i) => value === (i % 2 === 0 ? sum : -sum));
      if (!exact) return false;
    }
    return true;
  } finally {
    await session.release();
  }
}

/** The session options of a form, below `session`. onnxruntime ignores the key where its own kernels for uint8 × int8 are exact. */
export function int8Options(form: Int8Products): Readonly<Record<string, string>> {
  return form === 'unsigned' ? { x64quantprecision: '1' } : {};
}

/** The product of int8 models on fixed weights: `x` uint8 `[rows, 64]` to `y` float32 `[rows, 32]`. */
function probeModel(): Uint8Array {
  const graph = new Graph('probe');
  const x = graph.input('x', 'uint8', ['rows', INPUT]);
  const alternating = Array.from({ length: INPUT * OUTPUT }, (_, i) => (i % 2 === 0 ? WEIGHT : -WEIGHT));
  const weights = graph.constant('int8', [INPUT, OUTPUT], alternating);
  const one = graph.constant('float32', [], [1]);
  const inputs = [x, weights, one, one, graph.constant('uint8', [], [ZERO_POINT])];
  const outputs = [{ dtype: 'float32', axes: ['rows', OUTPUT] }] as const;
  const [y] = graph.node('probe', 'com.microsoft.MatMulIntegerToFloat', inputs, outputs);
  graph.output('y', y!);
  return encodeModel(graph, [], { producerVersion: '', dataFile: '', metadata: {} });
}
