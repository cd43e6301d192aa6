/** `recgemma score`: log probabilities of continuations, or perplexity of a text. */

import { Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { estimateTokens, linesAhead, loadForBatch, warnOfLength } from '../cli/batched-model.js';
import {
  autoBatchFlag,
  deviceFlag,
  existingPathFlag,
  modelFlag,
  orderedFlag,
  outputFileFlag,
  threadsFlag,
} from '../cli/flags.js';
import { InterruptedError } from '../errors.js';
import type { JsonLine, ScoreResult, TextModel } from '../index.js';

export default class Score extends BaseCommand<typeof Score> {
  static override summary = 'Log probabilities of continuations, or perplexity of a text';
  static override description =
    'Writes one line of JSON for each line of --input. A text is read once from end to end, however long: the state carries what came before.';
  static override examples = [
    '<%= config.bin %> score -m model --input pairs.jsonl --output scores.jsonl',
    '<%= config.bin %> score -m model --text book.txt',
  ];
  static override flags = {
    model: modelFlag,
    input: Flags.string({
      summary:
        'JSON Lines of {"id", "context", "continuation"}, as texts or as context_ids and continuation_ids; - reads stdin.',
      helpValue: '<file>',
      exactlyOne: ['input', 'text'],
    }),
    text: existingPathFlag({ summary: 'Text file whose perplexity is wanted.', helpValue: '<file>' }),
    output: outputFileFlag({ summary: 'Write the lines to this file, when all are done.' }),
    batch: autoBatchFlag,
    ordered: orderedFlag,
    device: deviceFlag,
    threads: threadsFlag,
  };

  async run(): Promise<void> {
    const { requireDevice } = await import('../index.js');
    const { flags, signal } = this;
    requireDevice(flags.device);
    const lines = flags.input === undefined ? undefined : await linesAhead(flags.input, flags, signal);
    const texts = lines?.first.map(({ value }) =>
      estimateTokens(value.context, value.context_ids, value.continuation, value.continuation_ids),
    );
    const work = { sequences: texts?.length ?? 1, tokens: Math.max(0, ...(texts ?? [])) };
    const { model, batch } = await loadForBatch(this.console, flags, work, signal);
    try {
      await (lines ? this.#score(model, lines.items, batch) : this.#perplexity(model, flags.text!));
    } finally {
      await model.close();
    }
  }

  async #score(model: TextModel, lines: AsyncIterable<JsonLine>, batch: number): Promise<void> {
    const { atomicWriter, RunStats, readScoreRequests, score, scoreLine } = await import('../index.js');
    const { signal } = this;
    const { output, ordered } = this.flags;
    const stats = new RunStats(batch);
    const totals = { requests: 0, tokens: 0, logprob: 0 };
    const file = output === undefined ? undefined : await atomicWriter(output);
    try {
      const requests = readScoreRequests(lines, model);
      for await (const result of score(model.engine, requests, { batch, ordered, stats, signal })) {
        const line = scoreLine(result);
        if (file) await file.write(`${JSON.stringify(line)}\n`);
        else this.console.line(line);
        addTo(totals, result);
      }
      await file?.commit();
    } catch (error) {
      await file?.discard();
      if (!signal.aborted) throw error;
      const kept =
        output === undefined ? `${totals.requests} scores were written.` : `${output} was not written.`;
      throw new InterruptedError(`Interrupted. ${kept}`, { cause: error });
    }
    const { busy, promptTokens, sharedTokens } = stats;
    this.console.detail(
      `${promptTokens} tokens computed, ${sharedTokens} shared; ${batch} rows, ${Math.round(100 * busy)} % busy`,
    );
    if (output === undefined) return;
    const work = { computed_tokens: promptTokens, shared_tokens: sharedTokens, batch, busy };
    this.console.result(
      { output, ...totals, ...work },
      () => `Wrote ${totals.requests} scores to ${output}.`,
    );
  }

  async #perplexity(model: TextModel, path: string): Promise<void> {
    const { textPerplexity } = await import('../index.js');
    const result = await this.console.progress(`read ${path}`, 0, (update) =>
      textPerplexity(model, path, { onProgress: update, signal: this.signal }),
    );
    warnOfLength(this.console, model, result.num_tokens);
    this.console.result(
      result,
      () =>
        `perplexity ${result.perplexity.toFixed(4)} a token, ${result.bits_per_byte.toFixed(4)} bits a byte (${result.num_tokens} tokens, ${result.num_bytes} bytes)`,
    );
  }
}

function addTo(totals: { requests: number; tokens: number; logprob: number }, result: ScoreResult): void {
  totals.requests += 1;
  totals.tokens += result.numTokens;
  totals.logprob += result.logprob;
}
