/** Checkpoints made from golden ones, with something changed. */

import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { type NamedTensor, writeSafetensors } from '../../src/checkpoint/safetensors-writer.js';
import { collect } from '../../src/graph/transform.js';
import { goldenPath, temporaryFolder } from './goldens.js';

/** What may be changed before the folder is written. */
export interface ChangedGolden {
  /** By name. */
  readonly tensors: Map<string, NamedTensor>;
  /** `config.json`; written where the golden checkpoint has one. */
  readonly config: Record<string, unknown>;
}

/** Writes `checkpoints/{golden}`, in whatever format it is, as `model.safetensors` into a new folder, with its `config.json` and `generation_config.json`. */
export async function changedGolden(
  golden: string,
  change: (made: ChangedGolden) => void = () => {},
): Promise<string> {
  const source = goldenPath(`checkpoints/${golden}`)!;
  const checkpoint = await openCheckpoint(source);
  const tensors = new Map<string, NamedTensor>();
  for (const [name, tensor] of checkpoint.tensors) {
    if (tensor.dtype === 'complex64') continue; // a table of angles, of a type that is not read from safetensors
    tensors.set(name, [name, tensor.dtype, tensor.shape, await collect(tensor)]);
  }
  await checkpoint.close();
  const said = await readFile(join(source, 'config.json'), 'utf8').catch(() => undefined);
  const config = JSON.parse(said ?? '{}') as Record<string, unknown>;
  change({ tensors, config });

  const folder = await temporaryFolder();
  await writeSafetensors(join(folder, 'model.safetensors'), tensors.values());
  if (said !== undefined) await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const generation = 'generation_config.json';
  await copyFile(join(source, generation), join(folder, generation)).catch(() => {});
  return folder;
}
