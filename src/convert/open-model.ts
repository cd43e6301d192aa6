/** From a path to a prepared model: finds the checkpoint, tells its layout and family, and settles its config. */

import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint, CheckpointFormat } from '../checkpoint/checkpoint.js';
import { openCheckpoint } from '../checkpoint/open.js';
import { InputError, UsageError } from '../errors.js';
import { MODEL_FAMILIES } from '../models/families.js';
import type { ModelFamily, PreparedModel } from '../models/family.js';
import type { SourceLayout } from '../models/source-layout.js';
import { readJsonFile, readOptionalJsonFile } from './json-file.js';
import { randomCheckpoint } from './random-checkpoint.js';

/** What the user said about a checkpoint. */
export interface ModelOptions {
  /** Whose names the tensors have, where the user knows; otherwise it is told by the names. */
  readonly from?: SourceLayout | undefined;
  readonly preset?: string | undefined;
  /** A JSON file with config fields: a Griffin's in DeepMind's names, the others' in Hugging Face's. */
  readonly modelConfig?: string | undefined;
  readonly attentionWindow?: number | undefined;
}

/** Instead of a path: random weights of the preset's shapes, the same ones for the same seed. */
export interface RandomWeights {
  readonly randomSeed: number;
}

/** An opened checkpoint whose model is known. Close the checkpoint when done. */
export interface OpenedModel {
  readonly checkpoint: Checkpoint;
  /** What messages call it: the path that was given, or what the random weights are of. */
  readonly name: string;
  /** What random weights came from. */
  readonly random?: { readonly preset: string; readonly seed: number };
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
 * Opens the checkpoint at a local path, or one of random weights, and prepares its model.
 * @throws InputError, UsageError as the reader and the family do; UsageError for random weights without a preset.
 */
export async function openModel(
  source: string | RandomWeights,
  options: ModelOptions = {},
): Promise<OpenedModel> {
  return typeof source === 'string' ? openStored(source, options) : openRandom(source.randomSeed, options);
}

async function openRandom(seed: number, options: ModelOptions): Promise<OpenedModel> {
  const { preset, attentionWindow } = options;
  const presets = MODEL_FAMILIES.flatMap((family) => family.presets);
  if (preset === undefined) {
    throw new UsageError('Random weights need --preset: the model whose shapes they have.', {
      hint: `Presets: ${presets.join(', ')}.`,
    });
  }
  const family = familyOfPreset(preset);
  if (!family) {
    throw new UsageError(`There is no preset "${preset}".`, { hint: `Presets: ${presets.join(', ')}.` });
  }
  const modelConfig = options.modelConfig && (await readJsonFile(options.modelConfig));
  const inputs = { preset, attentionWindow, ...(modelConfig && { modelConfig }) };
  const name = `preset ${preset}`;
  const untrained = family.untrained(inputs);
  const checkpoint = randomCheckpoint(name, untrained, seed);
  const model = untrained.prepare(checkpoint.tensors);
  return { checkpoint, name, random: { preset, seed }, layout: 'flax', model };
}

async function openStored(path: string, options: ModelOptions): Promise<OpenedModel> {
  const checkpoint = await openCheckpoint(path, options.from && FORMATS[options.from]);
  try {
    const { family, layout } = recognise(checkpoint, options.from);
    const { preset, attentionWindow } = options;
    requirePresetOf(family, preset, path);
    const modelConfig = options.modelConfig
      ? await readJsonFile(options.modelConfig)
      : checkpoint.config && { path: checkpoint.path, json: checkpoint.config };
    const huggingFace = layout === 'hf' ? await readOptionalJsonFile(await configPath(path)) : undefined;
    const inputs = { modelConfig, huggingFace, preset, attentionWindow };
    return { checkpoint, name: path, layout, model: family.prepare(layout, checkpoint.tensors, inputs) };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

function familyOfPreset(preset: string): ModelFamily | undefined {
  return MODEL_FAMILIES.find((each) => each.presets.includes(preset));
}

/** @throws UsageError for a preset that another family has; one that none has is the family's to refuse. */
function requirePresetOf(family: ModelFamily, preset: string | undefined, path: string): void {
  if (preset === undefined || family.presets.includes(preset)) return;
  const owner = familyOfPreset(preset);
  if (!owner) return;
  throw new UsageError(
    `"${preset}" is a preset of the family ${owner.name}, and ${path} is of the family ${family.name}.`,
    {
      hint: `Presets of ${family.name}: ${family.presets.join(', ')}.`,
    },
  );
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
