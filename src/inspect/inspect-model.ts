/** Tells what a model folder holds, from its manifest and its graph. */

import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InputError } from '../errors.js';
import { type ListedWeight, listWeights } from '../graph/list-weights.js';
import { MODEL_FILE } from '../graph/save.js';
import { MANIFEST_FILE, type Manifest, readModelFolder } from '../manifest.js';
import { tokenizerIn } from '../tokenizer/find.js';
import type { InspectRequest } from './inspect.js';
import type { InspectReport } from './report.js';
import { stateSizes } from './state-sizes.js';
import { inNaturalOrder, summariseMatrices, summariseTokenizer, summariseWeights } from './summaries.js';

/** @throws InputError where the manifest cannot be read. What else is wrong is a warning. */
export async function inspectModel(path: string, request: InspectRequest): Promise<InspectReport> {
  const { manifest } = await readModelFolder(path);
  const warnings: string[] = [];
  const orWarn = async <T>(work: Promise<T>, otherwise: T): Promise<T> =>
    work.catch((error: unknown) => {
      if (!(error instanceof InputError)) throw error;
      warnings.push(error.message);
      return otherwise;
    });
  const weights = await orWarn<ListedWeight[]>(listWeights(join(path, MODEL_FILE)), []);
  const tokenizer = await orWarn(summariseTokenizer(await tokenizerIn(path)), null);
  const files = await listFiles(path, manifest, warnings);
  const { source } = manifest;
  return {
    path,
    kind: 'model',
    format: source.format,
    layout: source.layout,
    hub: source.hub ?? null,
    family: manifest.family,
    config: manifest.config,
    missing: [],
    model: {
      tool_version: manifest.tool.version,
      opset: manifest.opset,
      precision: manifest.precision,
      block_size: manifest.block_size,
      device: manifest.device,
      logits: manifest.logits,
      quality: manifest.quality ?? null,
      matrices: summariseMatrices(manifest.matrices ?? []),
    },
    parameters: manifest.parameters,
    weights: summariseWeights(weights),
    tokenizer,
    files,
    state: stateSizes(manifest.state, manifest.config, request),
    ...(request.tensors && { tensors: inNaturalOrder(weights), matrices: manifest.matrices ?? [] }),
    notes: [],
    warnings,
  };
}

/** The files as they are; where that is not what the manifest says, a warning. */
async function listFiles(
  path: string,
  { files }: Manifest,
  warnings: string[],
): Promise<{ name: string; bytes: number }[]> {
  const list: { name: string; bytes: number }[] = [];
  const names = Object.keys(files).filter((name) => name === basename(name));
  for (const name of [...names, MANIFEST_FILE]) {
    const found = await stat(join(path, name)).catch(() => undefined);
    const expected = files[name]?.bytes;
    if (found) list.push({ name, bytes: found.size });
    if (!found) warnings.push(`${join(path, name)} is missing.`);
    else if (expected !== undefined && expected !== found.size) {
      warnings.push(`${join(path, name)} has ${found.size} bytes, not ${expected} as it was written.`);
    }
  }
  return list;
}
