/** Verifies a model folder: its files, that it agrees with itself, and with whatever it is compared with. */

import { stat } from 'node:fs/promises';
import { InputError, RecgemmaError, UsageError } from '../errors.js';
import { type ModelFolder, readModelFolder } from '../manifest.js';
import { Engine } from '../runtime/engine.js';
import { checkFiles } from './check-files.js';
import { compareWithModel } from './compare-models.js';
import { compareWithReference } from './compare-reference.js';
import { openReference, type Reference } from './reference-file.js';
import { CheckList, type VerifyCheck, type VerifyReport } from './report.js';
import { checkSelfConsistency } from './self-consistency.js';

/** What to verify against, and how. */
export interface VerifyOptions {
  /** Another model folder, or a `.json` file of reference outputs. */
  readonly against?: string | undefined;
  /** Replaces the limit on differences of logits, or, between model folders, of log probabilities. */
  readonly tolerance?: number | undefined;
  /** CPU threads. */
  readonly threads?: number | undefined;
  /** Called with each check as it is decided. */
  readonly onCheck?: ((check: VerifyCheck) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Verifies a model folder. What is wrong with the model is a check that failed, not an error; where the files are not the ones that
 * were written, or do not load, nothing else is tried.
 * @throws InputError where `path` is no model folder or `against` cannot be used, UsageError where it is neither of the two kinds,
 * InterruptedError on abort.
 */
export async function verifyModel(path: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  const folder = await readModelFolder(path);
  const checks = new CheckList(options.onCheck);
  const other = await openOther(options.against, folder.manifest.vocab_size);
  try {
    await checkFiles(folder, checks, options.signal);
    if (checks.passed) await checkRunning(folder, other, checks, options);
  } finally {
    if (other && 'read' in other) await other.close();
  }
  const { checks: list, passed } = checks;
  return { model: path, against: options.against ?? null, passed, checks: list };
}

async function openOther(
  path: string | undefined,
  vocabSize: number,
): Promise<ModelFolder | Reference | undefined> {
  if (path === undefined) return undefined;
  const found = await stat(path).catch((cause: unknown) => {
    throw new InputError(`${path} does not exist.`, { cause });
  });
  if (found.isDirectory()) return readModelFolder(path);
  if (path.endsWith('.json')) return openReference(path, vocabSize);
  throw new UsageError(`${path} is neither a model folder nor a .json file of reference outputs.`);
}

async function checkRunning(
  folder: ModelFolder,
  other: ModelFolder | Reference | undefined,
  checks: CheckList,
  options: VerifyOptions,
): Promise<void> {
  if (folder.manifest.logits === 'all' && !other) {
    checks.decide('form', true, 'converted with --logits all, for other tools: it was not run');
    return;
  }
  const { threads, signal } = options;
  const engine = await loadChecked(folder, checks, { threads, signal });
  if (!engine) return;
  try {
    await checkSelfConsistency(engine, checks, signal);
    if (other && 'read' in other) await compareWithReference(engine, other, checks, options);
    else if (other) await compareWithModel(engine, other.path, checks, options);
  } catch (error) {
    // What onnxruntime says of a graph that it cannot run after all.
    if (!(error instanceof RecgemmaError && error.code === 'failed')) throw error;
    checks.decide('runs', false, error.message);
  } finally {
    await engine.close();
  }
}

/** The engine, or undefined where the model does not load. */
async function loadChecked(
  { path }: ModelFolder,
  checks: CheckList,
  options: { readonly threads: number | undefined; readonly signal: AbortSignal | undefined },
): Promise<Engine | undefined> {
  try {
    const engine = await Engine.load(path, options);
    checks.decide('loads', true, 'onnxruntime takes the graph and its weights');
    return engine;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    checks.decide('loads', false, error.message);
    return undefined;
  }
}
