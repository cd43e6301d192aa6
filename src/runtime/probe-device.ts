/** A child process that runs a one-node model on one device and sends home what became of it. */

/** What the child sends: that it worked, or why not. */
export type ProbeAnswer = { readonly ok: true } | { readonly ok: false; readonly error: string };

/**
 * A model of one node, `y = x + x` for `x` float32 `[1]` (opset 17, IR version 8), as base64. Made by Python's onnx:
 * `make_model(make_graph([make_node('Add', ['x', 'x'], ['y'])], 'probe', …), opset_imports=[…17], ir_version=8)`.
 */
const MODEL = 'CAg6OQoOCgF4CgF4EgF5IgNBZGQSBXByb2JlWg8KAXgSCgoICAESBAoCCAFiDwoBeRIKCggIARIECgIIAUIECgAQEQ==';

/** Doubles 1.5 on `device`, an onnxruntime execution provider. */
async function probe(device: string): Promise<ProbeAnswer> {
  try {
    const { env, InferenceSession, Tensor } = await import('onnxruntime-node');
    env.logLevel = 'error';
    const session = await InferenceSession.create(Buffer.from(MODEL, 'base64'), {
      executionProviders: [device],
      logSeverityLevel: 4,
      intraOpNumThreads: 1,
    });
    const { y } = await session.run({ x: new Tensor('float32', [1.5], [1]) });
    const result = Number(y?.data[0]);
    return result === 3
      ? { ok: true }
      : { ok: false, error: `It computes wrongly: 1.5 + 1.5 gave ${result}.` };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

const answer = await probe(process.argv[2] ?? 'cpu');
process.send?.(answer, () => process.exit());
