/** Small Hugging Face checkpoints made from rg-tiny, with something changed. */

import { copyFile, readFile, writeFile } from 'node:fs/promises';
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
