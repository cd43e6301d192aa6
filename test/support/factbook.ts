/** The small trained models of `fixtures/factbook`, converted once for each test file. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ConvertOptions, convert } from '../../src/convert/convert.js';
import type { StorageOptions } from '../../src/convert/storage.js';
import type { Engine } from '../../src/runtime/engine.js';
import { openTokenizer } from '../../src/tokenizer/open.js';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { loadEngine, temporaryFolder } from './goldens.js';

/** The folder of all of them. */
export const FACTBOOK = fileURLToPath(new URL('../../fixtures/factbook', import.meta.url));

/** A loaded model and its tokenizer. */
export interface FactbookModel {
  readonly engine: Engine;
  readonly tokenizer: Tokenizer;
}

/** How to convert `griffin`, `hawk` or `mqa` into a new folder. */
export async function factbookOptions(name: string, storage: StorageOptions = {}): Promise<ConvertOptions> {
  return {
    checkpoint: join(FACTBOOK, name, 'checkpoint'),
    modelConfig: join(FACTBOOK, name, 'model-config.json'),
    tokenizer: join(FACTBOOK, name),
    out: join(await temporaryFolder(), name),
    ...storage,
  };
}

const opening = new Map<string, Promise<FactbookModel>>();

/** Converts and loads one of them, at the first call. */
export function factbookModel(name: string, storage: StorageOptions = {}): Promise<FactbookModel> {
  const key = JSON.stringify([name, storage]);
  const model = opening.get(key) ?? convertAndLoad(name, storage);
  opening.set(key, model);
  return model;
}

/** The text that none of them has seen. */
export function heldOutText(): string {
  return readFileSync(join(FACTBOOK, 'heldout.txt'), 'utf8');
}

async function convertAndLoad(name: string, storage: StorageOptions): Promise<FactbookModel> {
  const options = await factbookOptions(name, storage);
  await convert(options);
  return { engine: await loadEngine(options.out), tokenizer: (await openTokenizer(options.out))! };
}
