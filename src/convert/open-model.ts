/** From a path to a prepared model: finds the checkpoint, tells its layout and family, and settles its config. */

import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint, CheckpointFormat } from '../checkpoint/checkpoint.js';
import { openCheckpoint } from '../checkpoint/open.js';
import { InputError } from '../errors.js';
import { MODEL_FAMILIES } from '../models/families.js';
import type { ModelFamily, PreparedModel } from '../models/family.js';
import type { SourceLayout } from '../models/source-layout.js';
import { readJsonFile, readOptionalJsonFile } from './json-file.js';

/** What the user said about a checkpoint. */
export interface ModelOptions {
  /** Whose names the tensors have, where the user knows; otherwise it is told by the names. */
  readonly from?: SourceLayout | undefined;
  readonly preset?: string | undefined;
  /** A JSON file with config fields in DeepMind's names. */
  readonly modelConfig?: string | undefined;
  readonly attentionWindow?: number | undefined;
}

/** An opened checkpoint whose model is known. Close the checkpoint when done. */
export interface OpenedModel {
  readonly checkpoint: Checkpoint;
  readonly layout: SourceLayout;
  readonly model: PreparedModel;
}

/** The formats that each layout is stored in, the usual one first. */
const FORMATS: Readonly<Record<SourceLayout, readonly CheckpointFormat[]>> = {
  flax: ['orbax', 'safetensors'],
  torch: ['torch', 'safetensors'],
  hf: ['safetensors', 'torch'],
};

/**
 * Opens the checkpoint at a local path and prepares its model.
 * @throws InputError, UsageError as the reader and the family do.
 */
export async function openModel(path: string, options: ModelOptions = {}): Promise<OpenedModel> {
  const checkpoint = await openCheckpoint(path, options.from && FORMATS[options.from]);
  try {
    const { family, layout } = recognise(checkpoint, options.from);
    const { preset, attentionWindow } = options;
    const modelConfig = options.modelConfig
      ? await readJsonFile(options.modelConfig)
      : checkpoint.config && { path: checkpoint.path, json: checkpoint.config };
    const huggingFace = layout === 'hf' ? await readOptionalJsonFile(await configPath(path)) : undefined;
    const inputs = { modelConfig, huggingFace, preset, attentionWindow };
    return { checkpoint, layout, model: family.prepare(layout, checkpoint.tensors, inputs) };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

function recognise(
  checkpoint: Checkpoint,
  from: SourceLayout | undefined,
): { family: ModelFamily; layout: SourceLayout } {
  const names = [...checkpoint.tensors.keys()];
  for (const family of MODEL_FAMILIES) {
    const layout = family.detectLayout(names);
    if (!layout) continue;
    if (from && from !== layout) {
      throw new InputError(`${checkpoint.path} has the tensor names of layout ${layout}, not ${from}.`, {
        hint: 'Leave out --from: the layout is told by the names.',
      });
    }
    return { family, layout };
  }
  const some = names.slice(0, 5).map((name) => `"${name}"`);
  const count = names.length === 0 ? 'no tensors' : `${names.length} tensors, such as ${some.join(', ')}`;
  throw new InputError(`${checkpoint.path} is not a model that can be converted: it holds ${count}.`, {
    hint: `Known families: ${MODEL_FAMILIES.map((family) => family.name).join(', ')}.`,
    details: { tensors: names.slice(0, 100) },
  });
}

async function configPath(path: string): Promise<string> {
  const folder = (await stat(path)).isDirectory() ? path : dirname(path);
  return join(folder, 'config.json');
}
