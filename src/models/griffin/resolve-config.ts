/** Puts a Griffin's configuration together from all its sources; where two contradict each other, both are named. */

import { UsageError } from '../../errors.js';
import { fieldName, mergeSources, presetOf, publishedConfig } from '../config.js';
import { type GriffinConfig, validateGriffinConfig } from './config.js';
import type { GriffinSource } from './config-sources.js';
import { GRIFFIN_PRESETS } from './presets.js';

/** A config, and what the user should know of how it came about. */
export interface ResolvedConfig {
  readonly config: GriffinConfig;
  readonly notes: readonly string[];
}

const FIELDS = [
  'vocabSize',
  'width',
  'mlpExpandedWidth',
  'numHeads',
  'lruWidth',
  'blockTypes',
  'embeddingsScaleBySqrtDim',
  'attentionWindowSize',
  'logitsSoftCap',
] as const satisfies readonly (keyof GriffinConfig)[];

/**
 * Merges the sources; each field may come from several, which must then agree. What no source says is taken from the published
 * model whose shapes are all the same, where there is one.
 * @param window `--attention-window`, which overrides every source.
 * @throws InputError for a contradiction, UsageError where something is left unsaid.
 */
export function resolveGriffinConfig(sources: readonly GriffinSource[], window?: number): ResolvedConfig {
  const overridden = window === undefined ? sources : sources.map(withoutWindow);
  const override =
    window === undefined ? [] : [{ label: '--attention-window', values: { attentionWindowSize: window } }];
  const said = mergeSources<GriffinConfig>(FIELDS, [...overridden, ...override], print);
  const merged = { ...unusedFields(said), ...said };
  const preset = missingFields(merged).length > 0 ? matchingPreset(merged) : undefined;
  const config = preset ? { ...GRIFFIN_PRESETS[preset], ...merged } : merged;

  const missing = missingFields(config);
  if (missing.length > 0) {
    throw new UsageError(`The checkpoint does not say its ${missing.map(fieldName).join(', ')}.`, {
      hint: `Name a published model with --preset (${Object.keys(GRIFFIN_PRESETS).join(', ')}), or give the values with --model-config FILE.json, for example {"attention_window_size": 2048, "logits_soft_cap": 30, "embeddings_scale_by_sqrt_dim": true}.`,
      details: { missing: missing.map(fieldName), known: publishedConfig(config) },
    });
  }
  const notes = preset
    ? [`The shapes are those of ${preset}; its window, soft cap and embedding scale are used.`]
    : [];
  return { config: validateGriffinConfig(config as GriffinConfig), notes };
}

/** A preset as a source. @throws UsageError for a name that is not one. */
export function presetSource(name: string): GriffinSource {
  return presetOf<GriffinConfig>(GRIFFIN_PRESETS, name);
}

/** A Hawk has no attention and so no window, an all-attention model no RG-LRU; nothing looks at these values. */
function unusedFields({ blockTypes, width }: Partial<GriffinConfig>): Partial<GriffinConfig> {
  return {
    ...(blockTypes?.includes('attention') === false && { attentionWindowSize: 1 }),
    ...(blockTypes?.includes('recurrent') === false && width !== undefined && { lruWidth: width }),
  };
}

function withoutWindow(source: GriffinSource): GriffinSource {
  const { attentionWindowSize: _, ...values } = source.values;
  return { label: source.label, values };
}

function matchingPreset(known: Partial<GriffinConfig>): string | undefined {
  const shapes = ['width', 'mlpExpandedWidth', 'numHeads', 'lruWidth', 'blockTypes'] as const;
  return Object.entries(GRIFFIN_PRESETS).find(([, preset]) =>
    shapes.every((field) => print(preset[field]) === print(known[field])),
  )?.[0];
}

function missingFields(config: Partial<GriffinConfig>): string[] {
  return FIELDS.filter((field) => config[field] === undefined);
}

function print(value: unknown): string {
  return Array.isArray(value)
    ? `${value.length} blocks ${value.map((type) => String(type)[0]).join('')}`
    : String(value);
}
