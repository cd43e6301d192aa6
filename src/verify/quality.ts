/** What a precision costs: a model folder measured against the float32 form of the same checkpoint, which is made for that and removed again. */

import { mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { atomicWriter } from '../atomic-writer.js';
import { formatBytes } from '../bytes.js';
import { type ConvertOptions, convert } from '../convert/convert.js';
import { settleStorage } from '../convert/storage.js';
import { requireRoom } from '../disk-room.js';
import { InterruptedError, UnavailableError } from '../errors.js';
import { MANIFEST_FILE, type ModelFolder, type Quality, readModelFolder } from '../manifest.js';
import { Engine } from '../runtime/engine.js';
import { compareWithModel } from './compare-models.js';
import { CheckList, type VerifyCheck } from './report.js';

/** What {@link planQuality} found. */
export interface QualityPlan {
  readonly measures: boolean;
  /** Where it does not, though there would be something to measure: why, and how to do it all the same. */
  readonly note?: string;
}

/** What {@link measureQuality} found. */
export interface MeasuredQuality {
  readonly quality: Quality;
  /** Whether the differences are such as the precision explains. */
  readonly checks: readonly VerifyCheck[];
}

/** Weights in float32 up to which a model is small: half a billion parameters. */
const SMALL_BYTES = 2 ** 31;
const FLOAT32_BYTES = 4;

/**
 * Settles, before a checkpoint is converted, whether its quality will be measured. Where nothing is rounded there is nothing to measure; the form for other tools cannot be
 * run here; and random weights have no quality, unless it is asked for.
 * @param asked whatever it takes, or not at all; undefined: where it is a matter of seconds.
 * @throws whatever {@link convert} finds without reading a weight; UnavailableError where it must be measured and the disk has no room for both forms.
 */
export async function planQuality(options: ConvertOptions, asked?: boolean): Promise<QualityPlan> {
  const { precision, keyValues, logits } = settleStorage(options);
  const isExact = precision === 'fp32' && keyValues === 'float32';
  const isRandom = typeof options.checkpoint !== 'string';
  if (options.dryRun || isExact || logits === 'all' || !(asked ?? !isRandom)) return { measures: false };
  const { out, parameters, weight_bytes: bytes } = await convert({ ...options, dryRun: true });
  const exactBytes = FLOAT32_BYTES * parameters;
  if (!asked && exactBytes > SMALL_BYTES) {
    const how = `measure it by --verify, or by: recgemma verify ${out} --against FP32_MODEL`;
    return {
      measures: false,
      note: `The quality was not measured, which takes ${formatBytes(exactBytes)} for a while; ${how}`,
    };
  }
  try {
    const what = 'The model with its float32 form, to measure it by,';
    await requireRoom(out, bytes + exactBytes, what, 'Choose another --out, make room, or try --no-verify.');
    return { measures: true };
  } catch (error) {
    if (asked || !(error instanceof UnavailableError)) throw error;
    return { measures: false, note: `The quality was not measured: ${error.message}` };
  }
}

/**
 * Measures the model folder that `convert(options)` wrote, and notes the result in its manifest.
 * @throws whatever {@link convert} and loading a model throw; InterruptedError on abort. The model folder stays, and nothing else.
 */
export async function measureQuality(options: ConvertOptions): Promise<MeasuredQuality> {
  const { out, signal } = options;
  const folder = await readModelFolder(out);
  const exact = await mkdtemp(`${resolve(out)}.fp32-`);
  try {
    const storage = { precision: 'fp32', keyValues: 'float32', logits: 'last' } as const;
    await convert({ ...options, ...storage, out: exact, dryRun: false });
    const measured = await compare(out, exact, signal);
    await keep(folder, measured.quality);
    return measured;
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new InterruptedError(`Interrupted. ${out} is written; its quality was not measured.`, {
      cause: error,
    });
  } finally {
    // After an interruption the files are mapped for a moment still, which stops Windows from removing them.
    await rm(exact, { recursive: true, force: true, maxRetries: 10 });
  }
}

async function compare(
  path: string,
  exact: string,
  signal: AbortSignal | undefined,
): Promise<MeasuredQuality> {
  const checks = new CheckList();
  const engine = await Engine.load(path, { signal });
  try {
    const comparison = await compareWithModel(engine, exact, checks, { signal });
    const quality: Quality = {
      against: 'fp32',
      tokens: comparison.tokens,
      kl_divergence: comparison.klDivergence,
      greedy_agreement: comparison.greedyAgreement,
      perplexity_ratio: comparison.perplexityRatio,
    };
    return { quality, checks: checks.checks };
  } finally {
    await engine.close();
  }
}

/** Writes the manifest anew; no hash names it. */
async function keep({ path, manifest }: ModelFolder, quality: Quality): Promise<void> {
  const writer = await atomicWriter(join(path, MANIFEST_FILE));
  try {
    await writer.write(`${JSON.stringify({ ...manifest, quality }, null, 2)}\n`);
    await writer.commit();
  } catch (error) {
    await writer.discard();
    throw error;
  }
}
