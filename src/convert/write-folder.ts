/** Fills a model folder: the graph and its weights, the files beside them, and last the manifest that names them all. */

import { basename, join, relative, resolve } from 'node:path';
import { totalElements } from '../graph/dtype.js';
import { OPSET_VERSION } from '../graph/encode.js';
import { saveModel, writeDurably } from '../graph/save.js';
import type { HubReference } from '../hub/reference.js';
import { type FileRecord, MANIFEST_FILE, MANIFEST_SCHEMA_VERSION, type Manifest } from '../manifest.js';
import { stateBytes } from '../models/state-tensor.js';
import { packageVersion } from '../version.js';
import type { BuiltGraph } from './build-graph.js';
import { checkTied } from './check-tied.js';
import { hashFiles } from './hash-files.js';
import type { OpenedModel } from './open-model.js';
import type { Storage } from './storage.js';

/** What goes into a folder. */
export interface FolderContent {
  readonly opened: OpenedModel;
  readonly built: BuiltGraph;
  readonly storage: Storage;
  /** Tokenizer, config and the like, by name. */
  readonly companions: ReadonlyMap<string, Uint8Array | string>;
  readonly hub?: { readonly reference: HubReference; readonly commit: string } | undefined;
}

/** How {@link writeFolder} reports and stops. */
export interface WriteOptions {
  readonly onProgress?: ((writtenBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Writes everything into `folder`, which is there and empty. Source files are hashed meanwhile. */
export async function writeFolder(
  folder: string,
  content: FolderContent,
  options: WriteOptions,
): Promise<void> {
  const { opened, built, companions, hub } = content;
  const { checkpoint, model } = opened;
  const { signal, onProgress } = options;
  const version = await packageVersion();
  const hashing = hashFiles(checkpoint.files, signal);
  try {
    await checkTied(model, opened.name, signal);
    const metadata = {
      'recgemma.family': model.family,
      'recgemma.config': JSON.stringify(model.config),
      ...(hub && { 'recgemma.source': `${hub.reference.repository}@${hub.commit}` }),
    };
    const info = { producerVersion: version, metadata, onProgress, signal };
    const files: Record<string, FileRecord> = Object.fromEntries(await saveModel(built.graph, folder, info));
    signal?.throwIfAborted();
    for (const [name, bytes] of companions) await writeDurably(join(folder, name), bytes);
    const names = [...companions.keys()];
    const paths = names.map((name) => join(folder, name));
    for (const [i, record] of (await hashFiles(paths, signal).result).entries()) files[names[i]!] = record;

    const manifest = describe(content, version, files, await hashing.result);
    await writeDurably(join(folder, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  } finally {
    await hashing.stop();
  }
}

/** @param sources size and hash of each of the checkpoint's files. */
function describe(
  { opened, built, storage, hub }: FolderContent,
  version: string,
  files: Readonly<Record<string, FileRecord>>,
  sources: readonly FileRecord[],
): Manifest {
  const { checkpoint, layout, model, random } = opened;
  const { precision, blockSize, logits, keyValues } = storage;
  const matrices = built.quantized.map(({ path, form, error }) => ({ path, form, error: error() }));
  return {
    schema_version: MANIFEST_SCHEMA_VERSION,
    tool: { name: 'recgemma', version },
    opset: OPSET_VERSION,
    source: {
      format: checkpoint.format,
      layout,
      ...random,
      ...(hub && { hub: { repository: hub.reference.repository, commit: hub.commit } }),
      files: checkpoint.files.map((path, i) => ({ name: nameIn(opened.name, path), ...sources[i]! })),
    },
    family: model.family,
    config: model.config,
    precision,
    block_size: precision === 'int4' ? blockSize : null,
    ...(matrices.length > 0 && { matrices }),
    device: 'cpu',
    logits,
    parameters: totalElements(model.tensors.values()),
    vocab_size: model.vocabSize,
    query_heads: model.queryHeads,
    state: model.state(keyValues).map((tensor) => ({ ...tensor, bytes_per_sequence: stateBytes([tensor]) })),
    files,
  };
}

/** A source file's name below the checkpoint, so that a manifest tells nothing of the machine it was made on. */
function nameIn(checkpoint: string, path: string): string {
  const name = relative(resolve(checkpoint), path);
  return name === '' || name.startsWith('..') ? basename(path) : name;
}
