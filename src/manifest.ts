/** `recgemma.json`: what a model folder says of itself, and how it is read back. */

import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from './errors.js';
import type { LogitsForm } from './models/logits-form.js';
import type { StoredForm } from './models/matrices/record.js';
import { STATE_DTYPES, STATE_KINDS, type StateTensor } from './models/state-tensor.js';
import { PRECISIONS, type Precision } from './quantize/precision.js';

/** The manifest's name in a model folder. */
export const MANIFEST_FILE = 'recgemma.json';

/** The version of the manifest's own form; another major form is refused. */
export const MANIFEST_SCHEMA_VERSION = 1;

/** Size and hash of one file. */
export interface FileRecord {
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/** What rounding costs a model, measured on a text (docs/formats.md). */
export interface Quality {
  /** What the model was compared with: the same checkpoint in float32. */
  readonly against: 'fp32';
  /** Tokens of the text. */
  readonly tokens: number;
  /** Mean KL divergence of the predictions from float32's, in nats. */
  readonly kl_divergence: number;
  /** Share of the positions at which both find the same token likeliest. */
  readonly greedy_agreement: number;
  /** Perplexity over float32's. */
  readonly perplexity_ratio: number;
}

/** A model folder's manifest. */
export interface Manifest {
  readonly schema_version: typeof MANIFEST_SCHEMA_VERSION;
  readonly tool: { readonly name: 'recgemma'; readonly version: string };
  readonly opset: number;
  readonly source: {
    readonly format: string;
    readonly layout: string;
    /** What random weights were made from, and no files. */
    readonly preset?: string;
    readonly seed?: number;
    /** The hub reference and commit that the checkpoint came from, where it did. */
    readonly hub?: { readonly repository: string; readonly commit: string };
    readonly files: readonly (FileRecord & { readonly name: string })[];
  };
  readonly family: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly precision: Precision;
  /** Weights that share one scale; null without quantization. */
  readonly block_size: number | null;
  /** How each quantized matrix is stored, and the relative Frobenius error of its weights. */
  readonly matrices?: readonly {
    readonly path: string;
    readonly form: StoredForm;
    readonly error: number;
  }[];
  /** Where it was measured. */
  readonly quality?: Quality;
  readonly device: 'cpu';
  readonly logits: LogitsForm;
  readonly parameters: number;
  readonly vocab_size: number;
  /** Heads of queries in an attention layer; 0 where there is none. */
  readonly query_heads?: number;
  readonly state: readonly (StateTensor & { readonly bytes_per_sequence: number })[];
  readonly files: Readonly<Record<string, FileRecord>>;
}

/** A model folder that has been looked at. */
export interface ModelFolder {
  readonly path: string;
  readonly manifest: Manifest;
  /** Names the graph and its weights: states and results of another model never fit it. */
  readonly hash: string;
}

/**
 * Reads a model folder's manifest.
 * @throws InputError where the folder is not a model's, or of a form that this version does not know.
 */
export async function readModelFolder(path: string): Promise<ModelFolder> {
  const file = join(path, MANIFEST_FILE);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new InputError(`${path} is not a model folder: it has no ${MANIFEST_FILE}.`, {
      hint: `Make one with: recgemma convert CHECKPOINT --out ${path}`,
      cause,
    });
  });
  const manifest = parseManifest(text, file);
  return { path, manifest, hash: modelHash(manifest) };
}

function parseManifest(text: string, file: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`${file} is not JSON.`, { cause, hint: 'Convert the checkpoint again.' });
  }
  const manifest = json as Partial<Manifest> | null;
  if (manifest?.schema_version !== MANIFEST_SCHEMA_VERSION) {
    throw new InputError(
      `${file} has schema version ${manifest?.schema_version}; this version reads ${MANIFEST_SCHEMA_VERSION}.`,
      { hint: 'Convert the checkpoint again with this version of recgemma.' },
    );
  }
  const complete =
    isObject(manifest.tool) &&
    isObject(manifest.source) &&
    Array.isArray(manifest.source.files) &&
    isObject(manifest.config) &&
    isObject(manifest.files) &&
    Object.values(manifest.files).every((file) => isObject(file) && Number.isSafeInteger(file.bytes)) &&
    Number.isSafeInteger(manifest.vocab_size) &&
    ['last', 'all'].includes(String(manifest.logits)) &&
    PRECISIONS.some((each) => each === manifest.precision) &&
    Array.isArray(manifest.state) &&
    manifest.state.every(isStateTensor);
  if (!complete) throw new InputError(`${file} is incomplete.`, { hint: 'Convert the checkpoint again.' });
  return manifest as Manifest;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isStateTensor(value: unknown): boolean {
  return (
    isObject(value) &&
    typeof value.input === 'string' &&
    typeof value.output === 'string' &&
    STATE_KINDS.some((each) => each === value.kind) &&
    STATE_DTYPES.some((each) => each === value.dtype) &&
    Array.isArray(value.shape) &&
    value.shape.length > (value.kind === 'carried' ? 0 : 1) &&
    value.shape.every((size) => Number.isSafeInteger(size) && size > 0)
  );
}

/**
 * Looks whether the graph and its weights are there in full, which a folder that was copied halfway shows at once.
 * @throws InputError naming the file that is missing or cut off.
 */
export async function checkModelFiles({ path, manifest }: ModelFolder): Promise<void> {
  const hint = 'Copy the whole model folder again, or convert the checkpoint again.';
  for (const [name, { bytes }] of modelFiles(manifest)) {
    const file = join(path, name);
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) throw new InputError(`${file} is missing.`, { hint });
    if (found.size < bytes)
      throw new InputError(`${file} is cut off: it has ${found.size} of ${bytes} bytes.`, { hint });
  }
}

/** Bytes of all files of a model folder. */
export function folderBytes({ files }: Manifest): number {
  return Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The graph and its weights. */
function modelFiles(manifest: Manifest): [name: string, record: FileRecord][] {
  return Object.entries(manifest.files).filter(([name]) => name.startsWith('model.onnx'));
}

function modelHash(manifest: Manifest): string {
  const hashes = modelFiles(manifest).map(([name, { sha256 }]) => `${name} ${sha256}\n`);
  return createHash('sha256').update(hashes.sort().join('')).digest('hex');
}
