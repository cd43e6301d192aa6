/** Small Hugging Face checkpoints made from rg-tiny, with something changed. */

import { copyFile, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openSafetensors } from '../../src/checkpoint/safetensors.js';
import { type NamedTensor, writeSafetensors } from '../../src/checkpoint/safetensors-writer.js';
import { collect } from '../../src/graph/transform.js';
import { goldenPath, temporaryFolder } from './goldens.js';

/** What may be changed before the folder is written. */
export interface HuggingFaceFolder {
  /** By name. */
  readonly tensors: Map<string, NamedTensor>;
  readonly config: Record<string, unknown>;
}

/** Writes rg-tiny (bfloat16) as `model.safetensors`, `config.json` and `generation_config.json` into a new folder. */
export async function huggingFaceFolder(
  change: (made: HuggingFaceFolder) => void = () => {},
): Promise<string> {
  const source = goldenPath('checkpoints/rg-tiny/hf-bf16')!;
  const checkpoint = await openSafetensors(source);
  const tensors = new Map<string, NamedTensor>();
  for (const [name, tensor] of checkpoint.tensors) {
    tensors.set(name, [name, tensor.dtype, tensor.shape, await collect(tensor)]);
  }
  await checkpoint.close();
  const config = JSON.parse(await readFile(join(source, 'config.json'), 'utf8')) as Record<string, unknown>;
  change({ tensors, config });

  const folder = await temporaryFolder();
  await writeSafetensors(join(folder, 'model.safetensors'), tensors.values());
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await copyFile(join(source, 'generation_config.json'), join(folder, 'generation_config.json'));
  return folder;
}

/** A checkpoint of zeros, none of which takes room on the disk, with an embedding of so many rows of 40 float32. */
export async function hollowCheckpoint(rows: number): Promise<string> {
  const shapes: [name: string, shape: readonly number[]][] = [];
  const folder = await huggingFaceFolder(({ tensors, config }) => {
    for (const [name, , shape] of tensors.values()) {
      shapes.push([name, name === 'model.embed_tokens.weight' ? [rows, shape[1]!] : shape]);
    }
    config.vocab_size = rows;
  });
  let end = 0;
  const header = Object.fromEntries(
    shapes.map(([name, shape]) => {
      const start = end;
      end += 4 * shape.reduce((a, b) => a * b, 1);
      return [name, { dtype: 'F32', shape, data_offsets: [start, end] }];
    }),
  );
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = await open(join(folder, 'model.safetensors'), 'w');
  await file.write(Buffer.concat([length, json]));
  await file.truncate(8 + json.length + end);
  await file.close();
  return folder;
}
