/** An array stored in chunks, whatever the format that says so, and where its chunks come from. */

import type { DType, Shape } from '../../graph/dtype.js';
import { decodeBytes, decodeWhole } from './codecs.js';
import { Damage } from './damage.js';
import {
  type KeyValueStore,
  type StoredValue,
  sliceValue,
  streamValue,
  valueLength,
} from './stored-value.js';
import type { Sharding, ZarrHeader } from './zarr.js';

/** The decoded bytes of one chunk, row-major, padded to the full chunk shape. */
export interface Chunk {
  /** How messages call it. */
  readonly label: string;
  readonly pieces: AsyncIterable<Uint8Array>;
}

/** An array as a regular grid of chunks. */
export interface ChunkedArray {
  /** The array's name in messages. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly chunkShape: Shape;
  /** What the elements of absent chunks are; undefined where no chunk may be absent. */
  readonly fill: Uint8Array | undefined;
  /** Makes a function that finds a chunk by its place in the grid: undefined where it was never written. */
  readonly finder: () => (index: readonly number[]) => Promise<Chunk | undefined>;
}

/** The array of that name in a zarr store. */
export function zarrArray(name: string, header: ZarrHeader, store: KeyValueStore): ChunkedArray {
  const { dtype, shape, chunkShape, fill, codecs, shards, chunkKey } = header;
  const decoded = (label: string, value: StoredValue): Chunk => ({
    label: 'file' in value ? `${label} in "${value.file}"` : label,
    pieces: decodeBytes(codecs, streamValue(value)),
  });
  const whole = async (index: readonly number[]): Promise<Chunk | undefined> => {
    const key = chunkKey(index);
    const value = store.entries.get(`${name}/${key}`);
    return value && decoded(key, value);
  };
  const finder = () => {
    if (shards === undefined) return whole;
    // A shard's index is read once for all its chunks; together they have at most 16 MiB, as chunks are counted.
    const indexes = new Map<string, Promise<DataView>>();
    return async (index: readonly number[]): Promise<Chunk | undefined> => {
      const perShard = shards.shardShape.map((size, axis) => size / chunkShape[axis]!);
      const key = chunkKey(index.map((at, axis) => Math.floor(at / perShard[axis]!)));
      const shard = store.entries.get(`${name}/${key}`);
      if (shard === undefined) return undefined;
      const place = index.reduce((at, i, axis) => at * perShard[axis]! + (i % perShard[axis]!), 0);
      let shardIndex = indexes.get(key);
      if (shardIndex === undefined) {
        shardIndex = readShardIndex(shard, perShard, shards);
        indexes.set(key, shardIndex);
      }
      const value = chunkInShard(shard, await shardIndex, place);
      return value && decoded(`${index.join('.')} of shard ${key}`, value);
    };
  };
  return { name, dtype, shape, chunkShape, fill, finder };
}

/** Reads a shard's index: for each chunk in row-major order its offset and its length, as 64-bit numbers. */
async function readShardIndex(
  shard: StoredValue,
  perShard: readonly number[],
  { indexCodecs, indexAt }: Sharding,
): Promise<DataView> {
  if (indexCodecs.some((codec) => codec !== 'crc32c')) throw new Damage('its shard index is compressed');
  const bytes = 16 * perShard.reduce((count, size) => count * size, 1);
  const stored = bytes + 4 * indexCodecs.length;
  const start = indexAt === 'start' ? 0 : valueLength(shard) - stored;
  if (start < 0) throw new Damage('a shard is too short for its index', { truncated: true });
  const index = await decodeWhole(indexCodecs, streamValue(sliceValue(shard, start, stored)), bytes);
  return new DataView(index.buffer, index.byteOffset, index.byteLength);
}

function chunkInShard(shard: StoredValue, index: DataView, place: number): StoredValue | undefined {
  const offset = index.getBigUint64(16 * place, true);
  const length = index.getBigUint64(16 * place + 8, true);
  const absent = 0xffff_ffff_ffff_ffffn;
  if (offset === absent && length === absent) return undefined;
  if (offset + length > BigInt(valueLength(shard))) {
    throw new Damage('a shard ends before one of its chunks does', { truncated: true });
  }
  return sliceValue(shard, Number(offset), Number(length));
}
