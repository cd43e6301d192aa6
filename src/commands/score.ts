/** `recgemma score`: log probabilities of continuations, or perplexity of a text. */

import { Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import {
  BATCH_OF_A_FILE,
  batchFlag,
  deviceFlag,
  existingPathFlag,
  modelFlag,
  outputFileFlag,
  threadsFlag,
} from '../cli/flags.js';
import { InterruptedError } from '../errors.js';
import type { ScoreResult, TextModel } from '../index.js';

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
    batch: batchFlag,
    device: deviceFlag,
    threads: threadsFlag,
  };

  async run(): Promise<void> {
    const { requireDevice, TextModel } = await import('../index.js');
    const { flags } = this;
    requireDevice(flags.device);
    const batch = flags.batch ?? (flags.text ? 1 : BATCH_OF_A_FILE);
    const model = await this.console.step(`load ${flags.model}`, (say) =>
      TextModel.load(flags.model, {
        threads: flags.threads,
        batch,
        signal: this.signal,
        onNote: (note) => say(`load ${flags.model}: ${note}`),
      }),
    );
    try {
      await (flags.text ? this.#perplexity(model, flags.text) : this.#score(model, flags.input!, batch));
    } finally {
      await model.close();
    }
  }

  async #score(model: TextModel, input: string, batch: number): Promise<void> {
    const { atomicWriter, readScoreRequests, score, scoreLine } = await import('../index.js');
    const { output } = this.flags;
    const file = output === undefined ? undefined : await atomicWriter(output);
    const totals = { requests: 0, tokens: 0, logprob: 0 };
    try {
      const requests = readScoreRequests(input, model, { signal: this.signal });
      for await (const result of score(model.engine, requests, { batch, signal: this.signal })) {
        const line = scoreLine(result);
        if (file) await file.write(`${JSON.stringify(line)}\n`);
        else this.console.line(line);
        addTo(totals, result);
      }
      await file?.commit();
    } catch (error) {
      await file?.discard();
      if (!this.signal.aborted) throw error;
      const kept =
        output === undefined ? `${totals.requests} scores were written.` : `${output} was not written.`;
      throw new InterruptedError(`Interrupted. ${kept}`, { cause: error });
    }
    if (output === undefined) return;
    this.console.result({ output, ...totals }, () => `Wrote ${totals.requests} scores to ${output}.`);
  }

  async #perplexity(model: TextModel, path: string): Promise<void> {
    const { textPerplexity } = await import('../index.js');
    const result = await this.console.progress(`read ${path}`, 0, (update) =>
      textPerplexity(model, path, { onProgress: update, signal: this.signal }),
    );
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
