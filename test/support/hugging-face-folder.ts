/** Small Hugging Face checkpoints made from rg-tiny, with something changed. */

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChangedGolden, changedGolden } from './changed-golden.js';

/** Writes rg-tiny (bfloat16) as `model.safetensors`, `config.json` and `generation_config.json` into a new folder. */
export function huggingFaceFolder(change?: (made: ChangedGolden) => void): Promise<string> {
  return changedGolden('rg-tiny/hf-bf16', change);
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
