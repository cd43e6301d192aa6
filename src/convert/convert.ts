/** Converts a checkpoint to a model folder, streaming: one weight in memory at a time, and nothing half-finished left behind. */

import { basename, join, relative, resolve } from 'node:path';
import { requireRoom } from '../disk-room.js';
import { elementCount, tensorBytes } from '../graph/dtype.js';
import { OPSET_VERSION } from '../graph/encode.js';
import { Graph } from '../graph/graph.js';
import { dataFileBytes, saveModel, writeDurably } from '../graph/save.js';
import { Scope } from '../graph/scope.js';
import { WeightStore } from '../graph/weight-store.js';
import type { HubReference } from '../hub/reference.js';
import { type FileRecord, MANIFEST_FILE, MANIFEST_SCHEMA_VERSION, type Manifest } from '../manifest.js';
import type { PreparedModel } from '../models/family.js';
import type { KeyValuePrecision } from '../models/layers/key-values.js';
import type { LogitsForm } from '../models/logits-form.js';
import { matricesOf } from '../models/matrices/choose.js';
import type { MatrixRecord } from '../models/matrices/record.js';
import { stateBytes } from '../models/state-tensor.js';
import { DEFAULT_BLOCK_SIZE, type Precision } from '../quantize/precision.js';
import { packageVersion } from '../version.js';
import { checkTied } from './check-tied.js';
import { companionFiles } from './companions.js';
import { hashFiles } from './hash-files.js';
import { type ModelOptions, type OpenedModel, openModel, type RandomWeights } from './open-model.js';
import { OutputFolder } from './output-folder.js';

/** What to convert, and how. */
export interface ConvertOptions extends ModelOptions {
  /** A local file or folder; {@link resolveCheckpoint} brings `hf:org/name` here first. Or none, but random weights. */
  readonly checkpoint: string | RandomWeights;
  /** The model folder to make. */
  readonly out: string;
  /** A tokenizer file, or a folder that holds one; by default what lies beside or near the checkpoint. */
  readonly tokenizer?: string | undefined;
  readonly logits?: LogitsForm | undefined;
  /** How the matrices are stored; default fp32. */
  readonly precision?: Precision | undefined;
  /** How rings of keys and values are stored; by default int8 beside quantized matrices, else float32. */
  readonly keyValues?: KeyValuePrecision | undefined;
  /** Weights that share a scale, in int4; default 128. */
  readonly blockSize?: number | undefined;
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
  readonly parameters: number;
  /** Bytes of weights in the checkpoint and in the model folder. */
  readonly source_bytes: number;
  readonly weight_bytes: number;
  readonly state_bytes_per_sequence: number;
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
    const { checkpoint, model } = opened;
    const path = opened.random ? undefined : opened.name;
    const weights = new WeightStore(model.tensors, model.sourceName);
    const quantized: MatrixRecord[] = [];
    const matrices = matricesOf(options.precision ?? 'fp32', {
      blockSize: options.blockSize ?? DEFAULT_BLOCK_SIZE,
      onMatrix: (record) => quantized.push(record),
    });
    const graph = new Graph(model.family);
    const keyValues = keyValuesOf(options);
    model.build(new Scope(graph, weights, matrices), { logits: options.logits ?? 'last', keyValues });
    weights.check(opened.name);

    const companions = await companionFiles(path, model, options.tokenizer);
    const weightBytes = [...graph.weights.values()].reduce(
      (sum, each) => sum + tensorBytes(each.dtype, each.shape),
      0,
    );
    const report = {
      out: options.out,
      format: checkpoint.format,
      layout: opened.layout,
      family: model.family,
      config: model.config,
      parameters: countParameters(model),
      source_bytes: [...model.tensors.values()].reduce(
        (sum, each) => sum + tensorBytes(each.dtype, each.shape),
        0,
      ),
      weight_bytes: weightBytes,
      state_bytes_per_sequence: stateBytes(model.state(keyValues)),
      tokenizer: companions.tokenizer,
      notes: [...model.notes, ...companions.notes],
      warnings: companions.warnings,
    };
    const output = await OutputFolder.prepare(options.out, {
      force: options.force ?? false,
      sources: [path, options.tokenizer, options.modelConfig].filter((each) => each !== undefined),
    });
    await requireRoom(options.out, dataFileBytes(graph), 'The model', 'Choose another --out, or make room.');
    if (options.dryRun) return { ...report, written: false, seconds: seconds(started) };
    await output.fill(
      (folder) => writeFolder(folder, opened, graph, companions.files, quantized, options),
      options.signal,
    );
    return { ...report, written: true, seconds: seconds(started) };
  } finally {
    await opened.checkpoint.close();
  }
}

async function writeFolder(
  folder: string,
  { checkpoint, name: checkpointName, random, layout, model }: OpenedModel,
  graph: Graph,
  companions: ReadonlyMap<string, Uint8Array | string>,
  quantized: readonly MatrixRecord[],
  options: ConvertOptions,
): Promise<void> {
  const { signal, onProgress } = options;
  const version = await packageVersion();
  const hashing = hashFiles(checkpoint.files, signal);
  try {
    await checkTied(model, checkpointName, signal);
    const source = options.hub
      ? { repository: options.hub.reference.repository, commit: options.hub.commit }
      : undefined;
    const metadata = {
      'recgemma.family': model.family,
      'recgemma.config': JSON.stringify(model.config),
      ...(source && { 'recgemma.source': `${source.repository}@${source.commit}` }),
    };
    const written = await saveModel(graph, folder, {
      producerVersion: version,
      metadata,
      onProgress,
      signal,
    });
    signal?.throwIfAborted();
    const files: Record<string, FileRecord> = Object.fromEntries(written);
    for (const [name, content] of companions) await writeDurably(join(folder, name), content);
    const names = [...companions.keys()];
    const records = await hashFiles(
      names.map((name) => join(folder, name)),
      signal,
    ).result;
    for (const [i, name] of names.entries()) files[name] = records[i]!;

    const sources = await hashing.result;
    const manifest: Manifest = {
      schema_version: MANIFEST_SCHEMA_VERSION,
      tool: { name: 'recgemma', version },
      opset: OPSET_VERSION,
      source: {
        format: checkpoint.format,
        layout,
        ...random,
        ...(source && { hub: source }),
        files: checkpoint.files.map((path, i) => ({
          name: nameIn(checkpointName, path),
          ...sources[i]!,
        })),
      },
      family: model.family,
      config: model.config,
      precision: options.precision ?? 'fp32',
      block_size: options.precision === 'int4' ? (options.blockSize ?? DEFAULT_BLOCK_SIZE) : null,
      ...(quantized.length > 0 && { matrices: quantized.map(describeMatrix) }),
      device: 'cpu',
      logits: options.logits ?? 'last',
      parameters: countParameters(model),
      vocab_size: model.vocabSize,
      state: model
        .state(options.keyValues ?? 'float32')
        .map((tensor) => ({ ...tensor, bytes_per_sequence: stateBytes([tensor]) })),
      files,
    };
    // The manifest comes last: it names every other file.
    await writeDurably(join(folder, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  } finally {
    await hashing.stop();
  }
}

/** Beside matrices of eight bits or fewer, keys and values of eight cost nothing more that could be measured. */
function keyValuesOf({ keyValues, precision }: ConvertOptions): KeyValuePrecision {
  return keyValues ?? (precision === 'int8' || precision === 'int4' ? 'int8' : 'float32');
}

/** A source file's name below the checkpoint, so that a manifest tells nothing of the machine it was made on. */
function nameIn(checkpoint: string, path: string): string {
  const name = relative(resolve(checkpoint), path);
  return name === '' || name.startsWith('..') ? basename(path) : name;
}

function countParameters(model: PreparedModel): number {
  return [...model.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

function seconds(started: number): number {
  return (performance.now() - started) / 1000;
}

function describeMatrix({ path, form, error }: MatrixRecord) {
  return { path, form, error: error() };
}
