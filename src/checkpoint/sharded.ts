/** Checkpoints in several files: an index says which tensor is in which shard. */

import { dirname, join, resolve } from 'node:path';
import { InputError } from '../errors.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import type { Checkpoint } from './checkpoint.js';
import { openRangeFile, readRange } from './file-range.js';
import { jsonEntries, MAX_JSON_BYTES, parseJsonObject } from './json-object.js';
import { quoted } from './quoted.js';

/** Most shards of one checkpoint: each stays open, and systems commonly allow 1024 open files. */
const MAX_SHARDS = 512;

/**
 * Opens an index as Hugging Face writes it (`model.safetensors.index.json`, `pytorch_model.bin.index.json`) and every shard that
 * it names, which must lie beside it. Each listed tensor must be in the shard that the index claims; tensors that are in a shard
 * but not listed are kept, as transformers keeps them, unless two shards hold one name.
 */
export async function openSharded(
  indexPath: string,
  openShard: (path: string) => Promise<Checkpoint>,
): Promise<Checkpoint> {
  const index = await readIndex(indexPath);
  const shards: Checkpoint[] = [];
  const close = async () => {
    await Promise.all(shards.map((shard) => shard.close()));
  };
  try {
    const shardOf = new Map<string, string>();
    const tensors = new Map<string, LazyTensor>();
    for (const fileName of new Set(index.values())) {
      const shard = await openShard(join(dirname(indexPath), fileName));
      shards.push(shard);
      for (const [name, tensor] of shard.tensors) {
        const other = shardOf.get(name);
        if (other !== undefined) {
          throw new InputError(
            `Both ${other} and ${fileName} of ${indexPath} hold the tensor ${quoted(name)}.`,
          );
        }
        shardOf.set(name, fileName);
        tensors.set(name, tensor);
      }
    }
    for (const [name, fileName] of index) {
      if (shardOf.get(name) === fileName) continue;
      throw new InputError(
        `${indexPath} says that the tensor ${quoted(name)} is in ${fileName}, but it is not.`,
        {
          hint: 'The shards and the index are probably from two different downloads; get them again.',
          details: { file: indexPath, tensor: name, shard: fileName },
        },
      );
    }
    const format = shards[0]!.format;
    const files = [resolve(indexPath), ...shards.flatMap((shard) => shard.files)];
    return { format, path: indexPath, files, tensors, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Tensor name to shard file name. */
async function readIndex(path: string): Promise<Map<string, string>> {
  const file = await openRangeFile(path);
  try {
    if (file.size > MAX_JSON_BYTES) throw new InputError(`${path} is too long to be an index of shards.`);
    const root = parseJsonObject(await readRange(file, 0, file.size, 'the index'), path);
    const weightMap = jsonEntries(root.get('weight_map'));
    if (weightMap === undefined || weightMap.size === 0) {
      throw new InputError(`${path} has no "weight_map" that names tensors and their files.`);
    }
    const index = new Map<string, string>();
    for (const [name, shard] of weightMap) index.set(name, checkShardName(path, name, shard));
    const count = new Set(index.values()).size;
    if (count > MAX_SHARDS)
      throw new InputError(`${path} names ${count} shards; at most ${MAX_SHARDS} can be read.`);
    return index;
  } finally {
    await file.handle.close();
  }
}

/** A shard must be a plain file name: an index from elsewhere must not be able to name files of this machine. */
function checkShardName(indexPath: string, tensor: string, shard: unknown): string {
  const plain = typeof shard === 'string' && shard !== '' && shard !== '.' && !/[/\\\0]|\.\./.test(shard);
  if (plain) return shard;
  throw new InputError(
    `${indexPath} puts the tensor ${quoted(tensor)} in ${quoted(shard)}, which is not the name of a file beside it.`,
    { details: { file: indexPath, tensor } },
  );
}
