/** Puts a transformer's configuration together from all its sources. */

import { UsageError } from '../../errors.js';
import { fieldName, mergeSources } from '../config.js';
import { FIELDS, type TransformerConfig, validateTransformerConfig } from './config.js';
import { defaultSource, type TransformerSource } from './config-sources.js';
import { TRANSFORMER_PRESETS } from './presets.js';
import { publishedConfig } from './published-config.js';

/** A config, and what the user should know of how it came about. */
export interface ResolvedConfig {
  readonly config: TransformerConfig;
  readonly notes: readonly string[];
}

/**
 * Merges the sources, which must agree. What no source says is taken from the published model whose shapes are the same, where there is one, and then from the defaults
 * of its kind.
 * @param window `--attention-window`: keys that a query sees before itself; it overrides every source.
 * @throws InputError for a contradiction, UsageError where something is left unsaid.
 */
export function resolveTransformerConfig(
  sources: readonly TransformerSource[],
  window?: number,
): ResolvedConfig {
  const overridden = window === undefined ? sources : sources.map(withoutWindow);
  const override =
    window === undefined ? [] : [{ label: '--attention-window', values: { slidingWindow: window + 1 } }];
  const said = mergeSources<TransformerConfig>(FIELDS, [...overridden, ...override], print);
  const withDefaults = { ...(said.modelType && defaultSource(said.modelType).values), ...said };
  const isComplete = FIELDS.every((field) => withDefaults[field] !== undefined);
  const preset = isComplete ? undefined : matchingPreset(said);
  const config = preset ? { ...TRANSFORMER_PRESETS[preset], ...said } : withDefaults;
  const missing = FIELDS.filter((field) => config[field] === undefined).map(fieldName);
  if (missing.length > 0) {
    throw new UsageError(`The checkpoint does not say its ${missing.join(', ')}.`, {
      hint: `A Hugging Face checkpoint says so in the config.json beside it. Name a published model with --preset (${Object.keys(TRANSFORMER_PRESETS).join(', ')}), or give the values with --model-config FILE.json, for example {"num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 256}.`,
      details: { missing, known: publishedConfig(config) },
    });
  }
  const notes = preset ? [`The shapes are those of ${preset}; its heads are used.`] : [];
  return { config: validateTransformerConfig(config as TransformerConfig), notes };
}

function withoutWindow({ label, values }: TransformerSource): TransformerSource {
  const { slidingWindow: _, ...others } = values;
  return { label, values: others };
}

/** The preset of these shapes, unless several have them that differ in what shapes do not tell, as Mistral's do. */
function matchingPreset(known: Partial<TransformerConfig>): keyof typeof TRANSFORMER_PRESETS | undefined {
  const names = Object.keys(TRANSFORMER_PRESETS) as (keyof typeof TRANSFORMER_PRESETS)[];
  const matching = names.filter((name) => {
    const preset: Partial<TransformerConfig> = TRANSFORMER_PRESETS[name];
    return SHAPES.every((field) => preset[field] === known[field]);
  });
  return matching.length === 1 ? matching[0] : undefined;
}

/** What every layout's shapes tell. */
const SHAPES = ['modelType', 'hiddenSize', 'intermediateSize', 'numHiddenLayers'] as const;

function print(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
