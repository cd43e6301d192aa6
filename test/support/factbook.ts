/** The small trained models of `fixtures/factbook`, converted once for each test file. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { convert } from '../../src/convert/convert.js';
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

const opening = new Map<string, Promise<FactbookModel>>();

/** Converts and loads `griffin`, `hawk` or `mqa`, at the first call. */
export function factbookModel(name: string): Promise<FactbookModel> {
  const model = opening.get(name) ?? convertAndLoad(name);
  opening.set(name, model);
  return model;
}

/** The text that none of them has seen. */
export function heldOutText(): string {
  return readFileSync(join(FACTBOOK, 'heldout.txt'), 'utf8');
}

async function convertAndLoad(name: string): Promise<FactbookModel> {
  const out = join(await temporaryFolder(), name);
  await convert({
    checkpoint: join(FACTBOOK, name, 'checkpoint'),
    modelConfig: join(FACTBOOK, name, 'model-config.json'),
    tokenizer: join(FACTBOOK, name),
    out,
  });
  return { engine: await loadEngine(out), tokenizer: (await openTokenizer(out))! };
}
