/** Model folders that several of these tests run. */

import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { convert } from '../../src/convert/convert.js';
import { seededRandom } from '../checkpoint/digests.js';
import { convertGolden, temporaryFolder } from '../support/goldens.js';
import { huggingFaceFolder } from '../support/hugging-face-folder.js';

/** A golden model: it has no tokenizer, and takes and gives ids. */
export const idsModel = (): Promise<string> => convertGolden('rg-tiny/flax-ocdbt-f32');

/** The tokenizer of the text model: 2048 pieces, with all bytes and the marks of a conversation. */
export const TOKENIZER = fileURLToPath(
  new URL('../../fixtures/factbook/griffin/tokenizer.model', import.meta.url),
);

/** A checkpoint with a tokenizer, whose texts are nonsense in every script: its vocabulary is random. */
export async function textCheckpoint(): Promise<string> {
  const folder = await huggingFaceFolder(({ tensors, config }) => {
    const [name, , [, width]] = tensors.get('model.embed_tokens.weight')!;
    const random = seededRandom(2048);
    const embedding = Float32Array.from({ length: 2048 * width! }, () => 0.2 * (random() - 0.5));
    tensors.set(name, [name, 'float32', [2048, width!], new Uint8Array(embedding.buffer)]);
    config.vocab_size = 2048;
  });
  await copyFile(TOKENIZER, join(folder, 'tokenizer.model'));
  return folder;
}

let textFolder: Promise<string> | undefined;

/** The model folder of {@link textCheckpoint}. */
export function textModel(): Promise<string> {
  textFolder ??= (async () => {
    const out = join(await temporaryFolder(), 'model');
    await convert({ checkpoint: await textCheckpoint(), out });
    return out;
  })();
  return textFolder;
}
