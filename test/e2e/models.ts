/** Model folders that several of these tests run. */

import { copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { convert } from '../../src/convert/convert.js';
import { openTokenizer } from '../../src/tokenizer/open.js';
import { tokenId } from '../../src/tokenizer/tokenizer.js';
import { seededRandom } from '../checkpoint/digests.js';
import { convertGolden, temporaryFolder } from '../support/goldens.js';
import { huggingFaceFolder } from '../support/hugging-face-folder.js';

/** A golden model: it has no tokenizer, and takes and gives ids. */
export const idsModel = (): Promise<string> => convertGolden('rg-tiny/flax-ocdbt-f32');

/** The tokenizer of the text model: 2048 pieces, with all bytes and the marks of a conversation. */
export const TOKENIZER = fileURLToPath(
  new URL('../../fixtures/factbook/griffin/tokenizer.model', import.meta.url),
);

/** A checkpoint with a tokenizer, whose texts are nonsense: its embedding is random, larger for halves of characters. */
export async function textCheckpoint(): Promise<string> {
  const tokenizer = (await openTokenizer(dirname(TOKENIZER)))!;
  const isHalf = (id: number) => /^<0x[89A-D].>$/.test(tokenizer.piece(tokenId(id))); // of a character of two bytes
  const folder = await huggingFaceFolder(({ tensors, config }) => {
    const [name, , [, width]] = tensors.get('model.embed_tokens.weight')!;
    const random = seededRandom(2048);
    const scales = Array.from({ length: 2048 }, (_, id) => (isHalf(id) ? 0.5 : 0.2));
    const embedding = Float32Array.from(
      { length: 2048 * width! },
      (_, i) => scales[Math.floor(i / width!)]! * (random() - 0.5),
    );
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
