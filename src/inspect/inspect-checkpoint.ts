/** Tells what a checkpoint holds, as far as it can be told: also of one that cannot be converted as it is. */

import { stat } from 'node:fs/promises';
import { basename, relative, resolve } from 'node:path';
import { openCheckpoint } from '../checkpoint/open.js';
import { type OpenedModel, openModel } from '../convert/open-model.js';
import { InputError, RecgemmaError, UsageError } from '../errors.js';
import { totalElements } from '../graph/dtype.js';
import { MODEL_FAMILIES } from '../models/families.js';
import { findTokenizer } from '../tokenizer/find.js';
import type { InspectRequest } from './inspect.js';
import type { InspectReport } from './report.js';
import { stateSizes } from './state-sizes.js';
import { inNaturalOrder, listTensors, summariseTokenizer, summariseWeights } from './summaries.js';

/** @throws InputError where there is no checkpoint or it is damaged, or where what the user said of it cannot be. */
export async function inspectCheckpoint(path: string, request: InspectRequest): Promise<InspectReport> {
  const checkpoint = await openCheckpoint(path);
  try {
    const { opened, problem } = await tryModel(path, request);
    const recognised = opened ? undefined : recognise(checkpoint.tensors.keys());
    const model = opened?.model;
    const state = model?.state('float32');
    const tokenizer = await summariseTokenizer((await findTokenizer(path)).files).catch(toProblem);
    const tensors = listTensors(checkpoint.tensors);
    return {
      path,
      kind: 'checkpoint',
      format: checkpoint.format,
      layout: opened?.layout ?? recognised?.layout ?? null,
      hub: null,
      family: model?.family ?? recognised?.family ?? null,
      config: model?.config ?? knownConfig(problem),
      missing: missingFields(problem),
      model: null,
      parameters: totalElements((model?.tensors ?? checkpoint.tensors).values()),
      weights: summariseWeights(tensors),
      tokenizer: tokenizer instanceof RecgemmaError ? null : tokenizer,
      files: await listFiles(path, checkpoint.files),
      state: state && model ? stateSizes(state, model.config, request) : null,
      ...(request.tensors && { tensors: inNaturalOrder(tensors) }),
      notes: model?.notes ?? [],
      warnings: [problem, tokenizer].flatMap((each) =>
        each instanceof RecgemmaError ? sentences(each) : [],
      ),
    };
  } finally {
    await checkpoint.close();
  }
}

/** The model, or why there is none as long as nobody says more. */
async function tryModel(
  path: string,
  request: InspectRequest,
): Promise<{ opened?: OpenedModel; problem?: RecgemmaError }> {
  try {
    const opened = await openModel(path, request);
    await opened.checkpoint.close();
    return { opened };
  } catch (error) {
    // What the user has said must make sense; only what the checkpoint lacks or is can be told as a fact about it.
    const isAsked = request.preset ?? request.modelConfig ?? request.attentionWindow ?? request.from;
    if (error instanceof UsageError && error.details?.missing !== undefined) return { problem: error };
    if (error instanceof InputError && isAsked === undefined) return { problem: error };
    throw error;
  }
}

function recognise(names: Iterable<string>): { family: string; layout: string } | undefined {
  const all = [...names];
  for (const family of MODEL_FAMILIES) {
    const layout = family.detectLayout(all);
    if (layout) return { family: family.name, layout };
  }
  return undefined;
}

function missingFields(problem: RecgemmaError | undefined): readonly string[] {
  const missing = problem?.details?.missing;
  return Array.isArray(missing) ? missing.map(String) : [];
}

/** The part of the config that a family's error says it knows. */
function knownConfig(problem: RecgemmaError | undefined): Readonly<Record<string, unknown>> | null {
  const known = problem?.details?.known;
  return typeof known === 'object' && known !== null ? { ...known } : null;
}

function toProblem(error: unknown): RecgemmaError {
  if (error instanceof InputError) return error;
  throw error;
}

function sentences({ message, hint }: RecgemmaError): string[] {
  return [hint === undefined ? message : `${message} ${hint}`];
}

async function listFiles(path: string, files: readonly string[]): Promise<{ name: string; bytes: number }[]> {
  const root = resolve(path);
  return Promise.all(
    files.map(async (file) => {
      const inside = relative(root, file);
      const name = inside === '' || inside.startsWith('..') ? basename(file) : inside;
      return { name, bytes: (await stat(file)).size };
    }),
  );
}
