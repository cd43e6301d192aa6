/** From a prepared model to its graph, every matrix in the form that the precision and its own weights ask for. */

import { tensorBytes } from '../graph/dtype.js';
import { Graph } from '../graph/graph.js';
import type { Dense, MatrixForm } from '../graph/matrix-form.js';
import { Scope } from '../graph/scope.js';
import { UnfitWeightError } from '../graph/unfit-weight.js';
import { WeightStore } from '../graph/weight-store.js';
import type { PreparedModel } from '../models/family.js';
import { matricesOf } from '../models/matrices/choose.js';
import type { Int8Plan } from '../models/matrices/int8.js';
import type { MatrixRecord } from '../models/matrices/record.js';
import { chooseInt8Form, type Int8Form } from '../quantize/choose.js';
import type { Storage } from './storage.js';

/** A graph that can be saved. */
export interface BuiltGraph {
  readonly graph: Graph;
  /** The layers that it multiplies by. */
  readonly layers: readonly Dense[];
  /** The matrices that are quantized; their errors are known once the graph was saved. */
  readonly quantized: readonly MatrixRecord[];
}

/** What is told while matrices are measured: bytes read so far. */
export interface PlanOptions {
  readonly onProgress?: ((readBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Builds the graph without reading a weight.
 * @param source how messages name where the tensors came from.
 * @param plan forms of single int8 matrices; the plainest without one.
 * @throws InputError where weights are missing, do not fit or are left over.
 */
export function buildGraph(
  model: PreparedModel,
  storage: Storage,
  source: string,
  plan?: Int8Plan,
): BuiltGraph {
  const quantized: MatrixRecord[] = [];
  const { blockSize, precision, logits, keyValues } = storage;
  const onMatrix = (record: MatrixRecord) => quantized.push(record);
  const form = matricesOf(precision, { blockSize, plan, onMatrix });
  const layers: Dense[] = [];
  const matrices: MatrixForm = {
    ...form,
    linear(m, x, some) {
      layers.push(...some);
      return form.linear(m, x, some);
    },
  };
  const weights = new WeightStore(model.tensors, model.sourceName);
  const graph = new Graph(model.family);
  model.build(new Scope(graph, weights, matrices), { logits, keyValues });
  weights.check(source);
  return { graph, layers, quantized };
}

/**
 * Measures how well each kernel is kept by int8, and gives those that one scale a column does not suit another form.
 * @throws UnfitWeightError where a weight is not finite.
 */
export async function planInt8(
  layers: readonly Dense[],
  { onProgress, signal }: PlanOptions,
): Promise<Int8Plan> {
  const plan = new Map<string, Int8Form>();
  let read = 0;
  for (const { at, kernel } of layers) {
    signal?.throwIfAborted();
    const { form } = await chooseInt8Form(kernel).catch((error: unknown) => {
      throw error instanceof UnfitWeightError ? error.of(at.path) : error;
    });
    plan.set(at.path, form);
    read += tensorBytes(kernel.dtype, kernel.shape);
    onProgress?.(read);
  }
  return plan;
}
