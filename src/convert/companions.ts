/** The small files beside the graph: Hugging Face's configs, the tokenizer, the chat template. */

import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InputError } from '../errors.js';
import type { PreparedModel } from '../models/family.js';
import { findTokenizer, type TokenizerFiles, tokenizerAt } from '../tokenizer/find.js';
import { openTokenizerFiles } from '../tokenizer/open.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { readOptionalJsonFile } from './json-file.js';

/** Files to put into a model folder, by name. */
export interface Companions {
  readonly files: ReadonlyMap<string, Uint8Array | string>;
  /** Names of those that are the tokenizer's. */
  readonly tokenizer: readonly string[];
  /** What the user should know of where the tokenizer comes from. */
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Collects the companions of a checkpoint.
 * @param checkpoint its path, where it has one.
 * @param tokenizer a file or folder to take the tokenizer from; by default what lies beside or near the checkpoint.
 * @throws InputError for a tokenizer that cannot be read, or that knows ids the model has not.
 */
export async function companionFiles(
  checkpoint: string | undefined,
  model: PreparedModel,
  tokenizer: string | undefined,
): Promise<Companions> {
  const { files: sources, ...found } = await chooseTokenizer(checkpoint, tokenizer);
  const opened = await openTokenizerFiles(sources);
  if (opened && opened.vocabSize > model.vocabSize) {
    throw new InputError(
      `The tokenizer ${vocabularyOf(sources)} has ${opened.vocabSize} ids, the model only ${model.vocabSize}.`,
      { hint: 'Give the tokenizer of this very model with --tokenizer.' },
    );
  }
  const ids = tokenIds(opened);
  const generation = await generationConfig(checkpoint, ids);
  const files = new Map<string, Uint8Array | string>([
    ['config.json', json({ ...model.huggingFaceConfig, ...ids })],
    ['generation_config.json', json(generation)],
  ]);
  for (const [name, path] of sources) files.set(name, await readFile(path));
  return { files, tokenizer: [...sources.keys()], ...found };
}

/** The tokenizer that was named, or the one that belongs to the checkpoint, and what the user should know of that. */
async function chooseTokenizer(
  checkpoint: string | undefined,
  named: string | undefined,
): Promise<Pick<Companions, 'notes' | 'warnings'> & { readonly files: TokenizerFiles }> {
  if (named !== undefined) {
    const files = await tokenizerAt(named);
    if (files.size > 0) return { files, notes: [], warnings: [] };
    throw new InputError(`${named} holds no tokenizer.model and no tokenizer.json.`);
  }
  if (checkpoint === undefined)
    return { files: new Map(), notes: [], warnings: [idsOnly('There is no tokenizer')] };
  const { files, elsewhere, rivals } = await findTokenizer(checkpoint);
  const notes = elsewhere ? [`The tokenizer is taken from ${vocabularyOf(files)}.`] : [];
  if (files.size > 0) return { files, notes, warnings: [] };
  const none =
    rivals.length > 0
      ? `Several folders hold a tokenizer (${rivals.join(', ')}), and none is taken`
      : 'No tokenizer was found beside the checkpoint';
  return { files, notes, warnings: [idsOnly(none)] };
}

function idsOnly(reason: string): string {
  return `${reason}: the model folder takes and gives token ids only (add one with --tokenizer).`;
}

function vocabularyOf(files: TokenizerFiles): string | undefined {
  return [...files.values()][0];
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
  checkpoint: string | undefined,
  ids: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  if (checkpoint === undefined) return ids;
  const folder = (await stat(checkpoint)).isDirectory() ? checkpoint : dirname(checkpoint);
  const own = await readOptionalJsonFile(join(folder, 'generation_config.json'));
  return { ...ids, ...own?.json };
}

function json(value: Record<string, unknown>): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
