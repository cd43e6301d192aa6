/** Converts a checkpoint to a model folder, streaming: one weight in memory at a time, and nothing half-finished left behind. */

import { requireRoom } from '../disk-room.js';
import { totalBytes, totalElements } from '../graph/dtype.js';
import { dataFileBytes } from '../graph/save.js';
import type { HubReference } from '../hub/reference.js';
import { growthPerToken, hasSlots, type StateTensor, stateBytes } from '../models/state-tensor.js';
import { releasePool } from '../quantize/pool.js';
import type { Precision } from '../quantize/precision.js';
import { type BuiltGraph, buildGraph, planInt8 } from './build-graph.js';
import { companionFiles } from './companions.js';
import { type ModelOptions, type OpenedModel, openModel, type RandomWeights } from './open-model.js';
import { OutputFolder } from './output-folder.js';
import { type Storage, type StorageOptions, settleStorage } from './storage.js';
import { writeFolder } from './write-folder.js';

/** What to convert, and how. */
export interface ConvertOptions extends ModelOptions, StorageOptions {
  /** A local file or folder; {@link resolveCheckpoint} brings `hf:org/name` here first. Or none, but random weights. */
  readonly checkpoint: string | RandomWeights;
  /** The model folder to make. */
  readonly out: string;
  /** A tokenizer file, or a folder that holds one; by default what lies beside or near the checkpoint. */
  readonly tokenizer?: string | undefined;
  /** Replace the model folder that is already there. */
  readonly force?: boolean | undefined;
  /** Find out everything, and write nothing. */
  readonly dryRun?: boolean | undefined;
  /** Where the checkpoint was downloaded from, for the manifest. */
  readonly hub?: { readonly reference: HubReference; readonly commit: string } | undefined;
  /** Called with the weight bytes written so far and in all. */
  readonly onProgress?: ((writtenBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What was converted, or would be, as it is printed. */
export interface ConvertReport {
  readonly out: string;
  readonly written: boolean;
  readonly format: string;
  readonly layout: string;
  readonly family: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly precision: Precision;
  readonly parameters: number;
  /** Bytes of weights in the checkpoint and in the model folder. */
  readonly source_bytes: number;
  readonly weight_bytes: number;
  /** The most that one sequence takes, or what it takes at the longest context that the model was made for. */
  readonly state_bytes_per_sequence: number;
  /** What it grows by with each token; 0 for a state that has a size. */
  readonly state_bytes_per_token: number;
  readonly tokenizer: readonly string[];
  /** What the user should know. */
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
  readonly seconds: number;
}

/**
 * Converts one checkpoint.
 * @throws InputError where the checkpoint cannot be used, UsageError where something is left unsaid, UnavailableError where the
 * disk is too small, InterruptedError on abort; nothing is left behind then.
 */
export async function convert(options: ConvertOptions): Promise<ConvertReport> {
  const started = performance.now();
  options.signal?.throwIfAborted();
  const opened = await openModel(options.checkpoint, options);
  try {
    const { checkpoint, model, name } = opened;
    const storage = settleStorage(options);
    // Built once before anything is read, so that what does not fit is said at once.
    const plain = buildGraph(model, storage, name);
    const path = opened.random ? undefined : name;
    const state = model.state(storage.keyValues);
    const companions = await companionFiles(path, model, options.tokenizer);
    const report = {
      out: options.out,
      format: checkpoint.format,
      layout: opened.layout,
      family: model.family,
      config: model.config,
      precision: storage.precision,
      parameters: totalElements(model.tensors.values()),
      source_bytes: totalBytes(model.tensors.values()),
      weight_bytes: totalBytes(plain.graph.weights.values()),
      state_bytes_per_sequence: stateBytes(state),
      state_bytes_per_token: growthPerToken(state),
      tokenizer: companions.tokenizer,
      notes: [...model.notes, ...unusedChoices(options, state), ...companions.notes],
      warnings: companions.warnings,
    };
    const output = await OutputFolder.prepare(options.out, {
      force: options.force ?? false,
      sources: [path, options.tokenizer, options.modelConfig].filter((each) => each !== undefined),
    });
    const hint = 'Choose another --out, or make room.';
    await requireRoom(options.out, dataFileBytes(plain.graph), 'The model', hint);
    if (options.dryRun) return { ...report, written: false, seconds: seconds(started) };

    const { built, measuredBytes } = await fittedGraph(opened, storage, plain, options);
    const bytes = totalBytes(built.graph.weights.values());
    const content = { opened, built, storage, companions: companions.files, hub: options.hub };
    const onProgress = (written: number, total: number) =>
      options.onProgress?.(measuredBytes + written, measuredBytes + total);
    await output.fill(
      (folder) => writeFolder(folder, content, { onProgress, signal: options.signal }),
      options.signal,
    );
    return { ...report, weight_bytes: bytes, written: true, seconds: seconds(started) };
  } finally {
    await releasePool();
    await opened.checkpoint.close();
  }
}

/** What the user chose and this model has no use for. */
function unusedChoices({ keyValues }: ConvertOptions, state: readonly StateTensor[]): string[] {
  if (keyValues === undefined || state.some(hasSlots)) return [];
  return ['This model keeps no keys and values: --kv-cache changes nothing.'];
}

/** The graph with every int8 matrix in the form that its weights need, which takes reading them all; the plain one in other precisions. */
async function fittedGraph(
  { model, name }: OpenedModel,
  storage: Storage,
  plain: BuiltGraph,
  { onProgress, signal }: ConvertOptions,
): Promise<{ built: BuiltGraph; measuredBytes: number }> {
  if (storage.precision !== 'int8') return { built: plain, measuredBytes: 0 };
  const measuredBytes = totalBytes(plain.layers.map(({ kernel }) => kernel));
  const total = measuredBytes + totalBytes(plain.graph.weights.values());
  const plan = await planInt8(plain.layers, { signal, onProgress: (read) => onProgress?.(read, total) });
  return { built: buildGraph(model, storage, name, plan), measuredBytes };
}

function seconds(started: number): number {
  return (performance.now() - started) / 1000;
}
