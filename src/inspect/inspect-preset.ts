/** Tells what a published model of a preset's shapes would be in a precision: its weights and its state, of a model that is nowhere. */

import { buildGraph } from '../convert/build-graph.js';
import { openModel } from '../convert/open-model.js';
import { settleStorage } from '../convert/storage.js';
import { UsageError } from '../errors.js';
import { totalElements } from '../graph/dtype.js';
import { PRECISIONS, type Precision } from '../quantize/precision.js';
import type { InspectRequest } from './inspect.js';
import type { InspectReport } from './report.js';
import { stateSizes } from './state-sizes.js';
import { inNaturalOrder, listTensors, summariseWeights } from './summaries.js';

/** What stands before the name of a preset where a path could stand. */
const SCHEME = 'preset:';

/** A preset, and the precision of its matrices. */
export interface PresetReference {
  readonly preset: string;
  readonly precision: Precision;
}

/**
 * Reads `preset:NAME` or `preset:NAME:PRECISION`; undefined for anything else.
 * @throws UsageError for a precision that is none.
 */
export function parsePreset(reference: string): PresetReference | undefined {
  if (!reference.startsWith(SCHEME)) return undefined;
  const [preset = '', precision = 'fp32', ...more] = reference.slice(SCHEME.length).split(':');
  const known = PRECISIONS.find((each) => each === precision);
  if (known && more.length === 0) return { preset, precision: known };
  throw new UsageError(`"${reference}" is no preset with a precision.`, {
    hint: `Write preset:NAME or preset:NAME:PRECISION, with a precision of ${PRECISIONS.join(', ')}.`,
  });
}

/** @throws UsageError for a preset that there is not. */
export async function inspectPreset(
  path: string,
  { preset, precision }: PresetReference,
  request: InspectRequest,
): Promise<InspectReport> {
  const opened = await openModel({ randomSeed: 0 }, { ...request, preset });
  const { model, name } = opened;
  const storage = settleStorage({ precision });
  const { graph } = buildGraph(model, storage, name);
  const weights = listTensors(graph.weights);
  return {
    path,
    kind: 'preset',
    format: precision,
    layout: null,
    hub: null,
    family: model.family,
    config: model.config,
    missing: [],
    model: null,
    parameters: totalElements(model.tensors.values()),
    weights: summariseWeights(weights),
    tokenizer: null,
    files: [],
    state: stateSizes(model.state(storage.keyValues), model.config, request),
    ...(request.tensors && { tensors: inNaturalOrder(weights) }),
    notes: model.notes,
    warnings: [],
  };
}
