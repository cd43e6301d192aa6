/** Loads a model's session as it runs best here: weights packed or not, 8-bit products in a form that is exact, and from the cache of packed weights. */

import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { cacheFolder } from '../cache-folder.js';
import { MODEL_DATA_FILE } from '../graph/save.js';
import {
  chooseInt8Products,
  type Int8Products,
  int8ProductsAreExact,
  type Onnxruntime,
} from './cpu-probe.js';
import { describeHost } from './host.js';
import { type PackedModel, PrepackedEntry } from './prepacked-cache.js';
import { type Packing, packsWeights, savingPacked, sessionOptions } from './session-options.js';

/** A model to load. */
export interface LoadedModel extends Packing {
  readonly modelFile: string;
  /** The model folder's hash. */
  readonly hash: string;
  /** CPU threads. */
  readonly threads: number;
}

/** How {@link loadSession} reports, and what it goes by. */
export interface LoadOptions {
  /** Told what is done that is not done for every model. */
  readonly onNote: (text: string) => void;
  readonly env?: NodeJS.ProcessEnv;
  /** Smaller models are packed anew each time. */
  readonly minCachedBytes?: number;
}

/** Packing less takes no time worth a file. */
const MIN_CACHED_BYTES = 2 ** 28;

/**
 * Loads a model.
 * @throws UnavailableError for an int8 model where 8-bit products are not exact; onnxruntime's own errors.
 */
export async function loadSession(
  onnxruntime: Onnxruntime,
  model: LoadedModel,
  { onNote, env = process.env, minCachedBytes = MIN_CACHED_BYTES }: LoadOptions,
): Promise<InferenceSession> {
  const { InferenceSession } = onnxruntime;
  const int8Products =
    model.precision === 'int8'
      ? await chooseInt8Products((form) => int8ProductsAreExact(onnxruntime, form))
      : 'direct';
  if (int8Products === 'unsigned') {
    onNote('This processor has no exact uint8 × int8 products: the int8 weights are turned into uint8.');
  }
  const options = sessionOptions(
    { threads: model.threads, packWeights: packsWeights(model), int8Products },
    env,
  );
  const packed = await packedForm(onnxruntime, model, options, int8Products, {
    onNote,
    env,
    minCachedBytes,
  });
  if (packed) {
    try {
      return await InferenceSession.create(packed.modelFile, options);
    } catch {
      onNote('The packed weights in the cache cannot be loaded, and are removed.');
      await packed.remove();
    }
  }
  return InferenceSession.create(model.modelFile, options);
}

/** The model's packed weights in the cache, made where it is time; undefined where there are none. Never rejects: a model can be loaded without. */
async function packedForm(
  { InferenceSession }: Onnxruntime,
  model: LoadedModel,
  options: InferenceSession.SessionOptions,
  int8Products: Int8Products,
  { onNote, env, minCachedBytes }: Required<LoadOptions>,
): Promise<PackedModel | undefined> {
  const when = whenToKeep(env);
  // Only int8 gains: int4 packs 0.8 GB in 0.65 s and maps it in 0.55, float32 is packed for batches only.
  if (when === 'never' || model.precision !== 'int8' || model.bytes < minCachedBytes) return undefined;
  try {
    const entry = await entryOf(model, int8Products, env);
    const found = await entry.find();
    if (found) return found;
    if (!(await entry.loadedBefore()) && when === 'second load') return undefined;
    onNote('Packing the weights for this processor; they are kept for the next time.');
    return await entry.make(model.bytes, async (graphFile) => {
      const session = await InferenceSession.create(
        model.modelFile,
        savingPacked(options, graphFile, MODEL_DATA_FILE),
      );
      // Loaded again from its file, it takes no memory of its own.
      await session.release();
    });
  } catch (error) {
    onNote(`The packed weights could not be kept: ${(error as Error).message}`);
    return undefined;
  }
}

/** Writing the packed weights takes three times as long as loading without, which a model that is loaded once never gains back. */
function whenToKeep({ CI, RECGEMMA_PREPACK }: NodeJS.ProcessEnv): 'never' | 'first load' | 'second load' {
  if (RECGEMMA_PREPACK) return RECGEMMA_PREPACK === '0' ? 'never' : 'first load';
  return CI ? 'never' : 'second load';
}

async function entryOf(
  model: LoadedModel,
  options: Int8Products,
  env: NodeJS.ProcessEnv,
): Promise<PrepackedEntry> {
  const { platform, onnxruntime, cpu } = await describeHost();
  const machine = [platform, cpu.model, ...cpu.features].join(' ');
  const key = { model: model.hash, onnxruntime, machine, options };
  return new PrepackedEntry(join(cacheFolder(env), 'prepacked'), key);
}
