/** A child process that runs a one-node model on one device and sends home what became of it. */

import { UnavailableError } from '../errors.js';
import {
  chooseInt8Products,
  type Int8Products,
  int8ProductsAreExact,
  type Onnxruntime,
} from './cpu-probe.js';

/** What the child sends: that it worked, and for the CPU how it multiplies 8-bit numbers (null where it cannot); or why not. */
export type ProbeAnswer =
  | { readonly ok: true; readonly int8Products?: Int8Products | null }
  | { readonly ok: false; readonly error: string };

/**
 * A model of one node, `y = x + x` for `x` float32 `[1]` (opset 17, IR version 8), as base64. Made by Python's onnx:
 * `make_model(make_graph([make_node('Add', ['x', 'x'], ['y'])], 'probe', …), opset_imports=[…17], ir_version=8)`.
 */
const MODEL = 'CAg6OQoOCgF4CgF4EgF5IgNBZGQSBXByb2JlWg8KAXgSCgoICAESBAoCCAFiDwoBeRIKCggIARIECgIIAUIECgAQEQ==';

/** Doubles 1.5 on `device`, an onnxruntime execution provider. */
async function probe(device: string): Promise<ProbeAnswer> {
  try {
    const onnxruntime = await import('onnxruntime-node');
    const { env, InferenceSession, Tensor } = onnxruntime;
    env.logLevel = 'error';
    const session = await InferenceSession.create(Buffer.from(MODEL, 'base64'), {
      executionProviders: [device],
      logSeverityLevel: 4,
      intraOpNumThreads: 1,
    });
    const { y } = await session.run({ x: new Tensor('float32', [1.5], [1]) });
    const result = Number(y?.data[0]);
    if (result !== 3) return { ok: false, error: `It computes wrongly: 1.5 + 1.5 gave ${result}.` };
    return device === 'cpu' ? { ok: true, int8Products: await int8Products(onnxruntime) } : { ok: true };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

async function int8Products(onnxruntime: Onnxruntime): Promise<Int8Products | null> {
  try {
    return await chooseInt8Products((form) => int8ProductsAreExact(onnxruntime, form));
  } catch (error) {
    if (error instanceof UnavailableError) return null;
    throw error;
  }
}

const answer = await probe(process.argv[2] ?? 'cpu');
process.send?.(answer, () => process.exit());
