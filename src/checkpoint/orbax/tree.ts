/** Orbax's `_METADATA`: the tree of a checkpoint, in which keys may contain dots, so that array names alone do not give it. */

import { Damage } from './damage.js';

/** Largest `_METADATA`: about 150 bytes a leaf, so room for a hundred times the leaves of a 9B training state. */
export const MAX_METADATA_BYTES = 64 * 1024 * 1024;

/** A leaf of the tree. */
export interface TreeLeaf {
  /** The keys on the way to it, joined by `.`: what Orbax also calls it in the store. */
  readonly name: string;
  /** True where an array of that name must be in the checkpoint; false for strings, None, empty nodes and plain numbers. */
  readonly isArray: boolean;
}

/** What `_METADATA` says that a reader needs. */
export interface TreeMetadata {
  readonly leaves: readonly TreeLeaf[];
  /** The writer stored chunks that equal the fill value too: then an absent chunk is a lost one. */
  readonly storesEveryChunk: boolean;
}

const ARRAY_TYPES: ReadonlySet<unknown> = new Set(['jax.Array', 'np.ndarray']);

type Json = Readonly<Record<string, unknown>>;

/** Parses `_METADATA`. Throws {@link Damage} where it is not JSON or not of the known form. */
export function parseTreeMetadata(text: string): TreeMetadata {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Damage('it is not JSON');
  }
  const root = object(json);
  const leaves = Object.values(object(root.tree_metadata ?? {})).map((entry) => {
    const { key_metadata, value_metadata } = object(entry);
    if (!Array.isArray(key_metadata)) throw new Damage('a leaf has no list of keys');
    const value = object(value_metadata);
    return {
      name: key_metadata.map((part) => String(object(part).key)).join('.'),
      isArray: ARRAY_TYPES.has(value.value_type) && value.skip_deserialize !== true,
    };
  });
  return { leaves, storesEveryChunk: root.store_array_data_equal_to_fill_value === true };
}

function object(value: unknown): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Damage('it is not of the form that Orbax writes');
  }
  return value as Json;
}
