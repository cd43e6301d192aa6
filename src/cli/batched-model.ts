/** Loads a model for as many sequences as are to run together. */

import { formatBytes } from '../bytes.js';
import type { JsonLine, ReadAhead, TextModel } from '../index.js';
import type { Console } from './console.js';

/** Says so where a text was longer than any that the model was made for: it goes on, but knows less and less. */
export function warnOfLength(console: Console, model: TextModel, numTokens: number): void {
  const { longestContext } = model.engine;
  if (longestContext === undefined || numTokens <= longestContext) return;
  console.warn(
    `A text of ${numTokens} tokens is longer than the ${longestContext} that this model was made for; what comes after them is not to be relied on.`,
  );
}

/** The flags that say which model, and how it is run. */
interface ModelFlags {
  readonly model: string;
  readonly batch?: number | undefined;
  readonly threads?: number | undefined;
}

/** The lines of a file or, for `-`, of stdin; so many are read at once that the batch is no larger than it needs to be. */
export async function linesAhead(
  path: string,
  flags: Pick<ModelFlags, 'batch'>,
  signal: AbortSignal,
): Promise<ReadAhead<JsonLine>> {
  const { LARGEST_AUTO_BATCH, readAhead, readJsonLines } = await import('../index.js');
  return readAhead(readJsonLines(path, { signal }), 2 * (flags.batch ?? LARGEST_AUTO_BATCH));
}

/** What is known of the work before the model is loaded. */
interface Work {
  readonly sequences: number;
  /** Tokens of the longest sequence. */
  readonly tokens: number;
}

/** Bytes of a token, in most languages' texts. */
const TOKEN_BYTES = 4;

/** How many tokens a text, or the texts and lists of ids of a line, will be about. */
export function estimateTokens(...values: readonly unknown[]): number {
  const sizes = values.map((value) => {
    if (typeof value === 'string') return Math.ceil(Buffer.byteLength(value) / TOKEN_BYTES);
    return Array.isArray(value) ? value.length : 0;
  });
  return 1 + sizes.reduce((sum, size) => sum + size, 0);
}

/** Loads the model, with room for the batch that was asked for or that memory allows. */
export async function loadForBatch(
  console: Console,
  { model: path, batch: wanted, threads }: ModelFlags,
  work: Work,
  signal: AbortSignal,
): Promise<{ readonly model: TextModel; readonly batch: number }> {
  const { chooseBatch, TextModel } = await import('../index.js');
  const { batch, rows, rowBytes } = await chooseBatch(path, { batch: wanted, ...work });
  console.detail(`batch ${batch}: ${rows} states of up to ${formatBytes(rowBytes)}`);
  const model = await console.step(`load ${path}`, (say) =>
    TextModel.load(path, {
      threads,
      batch: rows,
      signal,
      onNote: (note) => say(`load ${path}: ${note}`),
    }),
  );
  return { model, batch };
}
