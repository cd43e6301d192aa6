/** Saves a graph as `model.onnx` and `model.onnx.data`, one weight in memory at a time. */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { RecgemmaError } from '../errors.js';
import { DataWriter, type WrittenFile } from './data-writer.js';
import { tensorBytes, totalBytes } from './dtype.js';
import { encodeModel, type ModelInfo, type WeightPlace } from './encode.js';
import type { Graph } from './graph.js';
import type { LazyTensor } from './lazy-tensor.js';
import { releaseScratch } from './scratch.js';
import { UnfitWeightError } from './unfit-weight.js';

/** Every weight starts at a multiple of this many bytes, so that it can be memory-mapped (a page of x86-64 and of most ARM). */
const WEIGHT_ALIGNMENT = 4096;

/** The name of the graph's file in a model folder. */
export const MODEL_FILE = 'model.onnx';
/** The name of the weights' file in a model folder. */
export const MODEL_DATA_FILE = 'model.onnx.data';

/** How {@link saveModel} reports and stops. */
export interface SaveOptions extends Omit<ModelInfo, 'dataFile'> {
  /** Called after each piece with the weight bytes written so far and in all. */
  readonly onProgress?: ((writtenBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes both files into `folder`, which must exist and must not hold them yet, and waits until they are on the disk.
 * @returns size and sha256 of each file by name.
 * @throws the signal's reason when aborted, and whatever reading a weight throws.
 */
export async function saveModel(
  graph: Graph,
  folder: string,
  options: SaveOptions,
): Promise<Map<string, WrittenFile>> {
  const { places, data } = await saveWeights(graph, join(folder, MODEL_DATA_FILE), options);
  const model = encodeModel(graph, places, { ...options, dataFile: MODEL_DATA_FILE });
  await writeDurably(join(folder, MODEL_FILE), model);
  const sha256 = createHash('sha256').update(model).digest('hex');
  return new Map([
    [MODEL_FILE, { bytes: model.byteLength, sha256 }],
    [MODEL_DATA_FILE, data],
  ]);
}

async function saveWeights(
  graph: Graph,
  path: string,
  options: SaveOptions,
): Promise<{ places: WeightPlace[]; data: WrittenFile }> {
  const places: WeightPlace[] = [];
  const weights = [...graph.weights];
  const total = totalBytes(graph.weights.values());
  const writer = new DataWriter(path);
  let written = 0;
  try {
    for (const [name, weight] of weights) {
      await writer.align(WEIGHT_ALIGNMENT);
      const place = { name, dtype: weight.dtype, shape: weight.shape, offset: writer.position };
      const bytes = tensorBytes(weight.dtype, weight.shape);
      for await (const piece of named(name, weight)) {
        options.signal?.throwIfAborted();
        await writer.write(piece);
        written += piece.byteLength;
        options.onProgress?.(written, total);
      }
      if (writer.position - place.offset !== bytes) {
        throw new RecgemmaError(
          'failed',
          `weight "${name}" gave ${writer.position - place.offset} of ${bytes} bytes`,
        );
      }
      places.push({ ...place, bytes });
    }
    for (const [name, weight] of graph.aliases) {
      const place = places.find((each) => each.name === weight);
      if (place) places.push({ ...place, name });
    }
    return { places, data: await writer.finish() };
  } catch (error) {
    await writer.abort();
    throw error;
  } finally {
    releaseScratch();
  }
}

/** What a weight holds; where it does not fit, the error says which one it was. */
async function* named(name: string, weight: LazyTensor): AsyncIterable<Uint8Array> {
  try {
    yield* weight.read();
  } catch (error) {
    throw error instanceof UnfitWeightError ? error.of(name) : error;
  }
}

/** Bytes that a graph's weights take in their file, at most: the last one needs no filling up. */
export function dataFileBytes(graph: Graph): number {
  const pages = ({ dtype, shape }: LazyTensor) => Math.ceil(tensorBytes(dtype, shape) / WEIGHT_ALIGNMENT);
  return [...graph.weights.values()].reduce((sum, weight) => sum + pages(weight) * WEIGHT_ALIGNMENT, 0);
}

/** Writes a small file and waits until it is on the disk. */
export async function writeDurably(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
