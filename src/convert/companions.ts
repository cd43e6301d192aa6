/** The small files beside the graph: Hugging Face's configs, the tokenizer, the chat template. */

import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { InputError } from '../errors.js';
import type { PreparedModel } from '../models/family.js';
import { findTokenizerFiles } from '../tokenizer/files.js';
import { openTokenizer } from '../tokenizer/open.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { readOptionalJsonFile } from './json-file.js';

/** Files to put into a model folder, by name. */
export interface Companions {
  readonly files: ReadonlyMap<string, Uint8Array | string>;
  /** Names of those that are the tokenizer's. */
  readonly tokenizer: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Collects the companions of a checkpoint.
 * @param tokenizer a file or folder to take the tokenizer from; by default what lies beside the checkpoint.
 * @throws InputError for a tokenizer that cannot be read, or that knows ids the model has not.
 */
export async function companionFiles(
  checkpoint: string,
  model: PreparedModel,
  tokenizer: string | undefined,
): Promise<Companions> {
  const sources = await findTokenizerFiles(tokenizer ?? checkpoint);
  if (tokenizer && sources.length === 0)
    throw new InputError(`${tokenizer} holds no tokenizer.model and no tokenizer.json.`);
  const opened = sources[0] ? await openTokenizer(dirname(sources[0])) : undefined;
  if (opened && opened.vocabSize > model.vocabSize) {
    throw new InputError(
      `The tokenizer ${sources[0]} has ${opened.vocabSize} ids, the model only ${model.vocabSize}.`,
      { hint: 'Give the tokenizer of this very model with --tokenizer.' },
    );
  }
  const ids = tokenIds(opened);
  const generation = await generationConfig(checkpoint, ids);
  const files = new Map<string, Uint8Array | string>([
    ['config.json', json({ ...model.huggingFaceConfig, ...ids })],
    ['generation_config.json', json(generation)],
  ]);
  for (const path of sources) files.set(basename(path), await readFile(path));
  const none =
    'No tokenizer was found beside the checkpoint: the model folder takes and gives token ids only (add one with --tokenizer).';
  return { files, tokenizer: sources.map((path) => basename(path)), warnings: opened ? [] : [none] };
}

function tokenIds(tokenizer: Tokenizer | undefined): Record<string, unknown> {
  if (!tokenizer) return {};
  const { bosId, eosIds, padId } = tokenizer;
  const eos = eosIds.length === 1 ? eosIds[0] : eosIds;
  return {
    ...(bosId !== undefined && { bos_token_id: bosId }),
    ...(eosIds.length > 0 && { eos_token_id: eos }),
    ...(padId !== undefined && { pad_token_id: padId }),
  };
}

/** The checkpoint's own, or just the special tokens. */
async function generationConfig(
  checkpoint: string,
  ids: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const folder = (await stat(checkpoint)).isDirectory() ? checkpoint : dirname(checkpoint);
  const own = await readOptionalJsonFile(join(folder, 'generation_config.json'));
  return { ...ids, ...own?.json };
}

function json(value: Record<string, unknown>): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
