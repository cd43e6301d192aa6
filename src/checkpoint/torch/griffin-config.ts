/** The configuration that DeepMind's PyTorch examples save beside the weights, as plain data. */

import { PickleRecord } from './unpickler.js';

const CONFIG = 'recurrentgemma.common.GriffinConfig';
const BLOCK_TYPE = 'recurrentgemma.common.TemporalBlockType';
const SCAN_TYPE = 'recurrentgemma.common.ScanType';

/** The classes that such a configuration is pickled as; they are read as inert records. */
export const GRIFFIN_CONFIG_CLASSES: readonly string[] = [CONFIG, BLOCK_TYPE, SCAN_TYPE];

/** Fields of `GriffinConfig` in order: a named tuple pickles its values only (recurrentgemma/common.py). */
const FIELDS = [
  'vocab_size',
  'width',
  'mlp_expanded_width',
  'num_heads',
  'block_types',
  'embeddings_scale_by_sqrt_dim',
  'attention_window_size',
  'logits_soft_cap',
  'lru_width',
] as const;

/** `TemporalBlockType` by value: an `enum.auto()` counts from 1. */
const BLOCK_TYPES: ReadonlyMap<unknown, string> = new Map([
  [1, 'attention'],
  [2, 'recurrent'],
]);

/** The configuration in GriffinConfig's field names, block types as words, or undefined if the value is not one. */
export function griffinConfig(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (!(value instanceof PickleRecord) || value.className !== CONFIG) return undefined;
  return Object.fromEntries(
    FIELDS.map((field, index) => {
      const item = value.args[index];
      return [field, field === 'block_types' && Array.isArray(item) ? item.map(blockType) : item];
    }),
  );
}

function blockType(value: unknown): string | undefined {
  return value instanceof PickleRecord && value.className === BLOCK_TYPE
    ? BLOCK_TYPES.get(value.args[0])
    : undefined;
}
