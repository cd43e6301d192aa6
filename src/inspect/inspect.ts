/** Tells what a checkpoint or a model folder holds, from headers alone. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelOptions } from '../convert/open-model.js';
import { type ResolvedCheckpoint, resolveCheckpoint } from '../convert/resolve-checkpoint.js';
import { InputError, UnavailableError } from '../errors.js';
import { MANIFEST_FILE } from '../manifest.js';
import { inspectCheckpoint } from './inspect-checkpoint.js';
import { inspectModel } from './inspect-model.js';
import { inspectPreset, parsePreset } from './inspect-preset.js';
import type { InspectReport } from './report.js';

/** What to tell. The fields of {@link ModelOptions} say of a checkpoint what it does not say itself. */
export interface InspectOptions extends ModelOptions {
  /** List every tensor. */
  readonly tensors?: boolean | undefined;
  /** Lengths in tokens to work out the state's size for. */
  readonly contexts?: readonly number[] | undefined;
  /** Sequences that run together. */
  readonly batch?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** {@link InspectOptions} with their defaults. */
export interface InspectRequest extends ModelOptions {
  readonly tensors: boolean;
  readonly contexts: readonly number[];
  readonly batch: number;
}

/** RecurrentGemma's own window, and lengths at which a cache starts to weigh. */
const CONTEXTS = [2048, 8192, 32768];

/**
 * Inspects a model folder, a checkpoint, one in the hub's cache (`hf:org/name`; nothing is downloaded), or a preset (`preset:NAME[:PRECISION]`).
 * @throws InputError where there is neither or it is damaged, UsageError for options that make no sense, UnavailableError where
 * the cache does not hold it.
 */
export async function inspect(reference: string, options: InspectOptions = {}): Promise<InspectReport> {
  const request: InspectRequest = {
    ...options,
    tensors: options.tensors ?? false,
    contexts: options.contexts ?? CONTEXTS,
    batch: options.batch ?? 1,
  };
  const preset = parsePreset(reference);
  if (preset) return inspectPreset(reference, preset, request);
  const { path, hub } = await findCached(reference, options.signal);
  if (await isModelFolder(path)) return inspectModel(path, request);
  const report = await inspectCheckpoint(path, request);
  if (!hub) return report;
  return { ...report, path: reference, hub: { repository: hub.reference.repository, commit: hub.commit } };
}

async function findCached(reference: string, signal: AbortSignal | undefined): Promise<ResolvedCheckpoint> {
  return resolveCheckpoint(reference, { offline: true, signal }).catch((cause: unknown) => {
    if (!(cause instanceof UnavailableError)) throw cause;
    const hint = `Nothing is downloaded to be inspected. To convert it: recgemma convert ${reference} --out DIR`;
    throw new UnavailableError(cause.message, { hint, cause });
  });
}

async function isModelFolder(path: string): Promise<boolean> {
  if (path.endsWith(MANIFEST_FILE))
    throw new InputError(`${path} is a file of a model folder; give the folder.`);
  return (await stat(join(path, MANIFEST_FILE)).catch(() => undefined))?.isFile() ?? false;
}
