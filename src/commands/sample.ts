/** `recgemma sample`: text as it comes. */

import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { estimateTokens, linesAhead, loadForBatch, warnOfLength } from '../cli/batched-model.js';
import {
  autoBatchFlag,
  deviceFlag,
  existingPathFlag,
  integerFlag,
  modelFlag,
  orderedFlag,
  outputFileFlag,
  probabilityFlag,
  seedFlag,
  temperatureFlag,
  threadsFlag,
} from '../cli/flags.js';
import { type SampleWriter, sampleWriter } from '../cli/sample-output.js';
import { SampleTotals } from '../cli/sample-totals.js';
import { readStdin } from '../cli/stdin.js';
import { InterruptedError, UsageError } from '../errors.js';
import type { GenerateRequest, JsonLine, SavedState, TextModel } from '../index.js';

export default class Sample extends BaseCommand<typeof Sample> {
  static override summary = 'Continue a prompt, text as it comes';
  static override description =
    'The prompt is the argument, or stdin, or every line of --prompts. With --json each result is one line as it finishes.';
  static override examples = [
    '<%= config.bin %> sample -m model "The capital of France is" -n 50',
    'echo "The capital of France is" | <%= config.bin %> sample -m model -t 0.7 --top-p 0.9 --seed 1',
    '<%= config.bin %> sample -m model --prompts prompts.jsonl --batch 16 --json',
    '<%= config.bin %> sample -m model "A long prompt" -n 0 --save-state prompt.state',
  ];
  static override args = { prompt: Args.string({ description: 'Text to continue; - reads stdin.' }) };
  static override flags = {
    model: modelFlag,
    'max-tokens': integerFlag({ char: 'n', min: 0, default: 128, summary: 'Most tokens to generate.' }),
    temperature: temperatureFlag({
      char: 't',
      default: 0,
      summary: 'Randomness; 0, the default, always takes the likeliest token.',
    }),
    'top-k': integerFlag({ min: 1, summary: 'Draw from the k likeliest tokens only.' }),
    'top-p': probabilityFlag({
      summary: 'Draw from the likeliest tokens that together have this probability.',
    }),
    'min-p': probabilityFlag({ summary: 'Draw from tokens at least this times as likely as the likeliest.' }),
    seed: seedFlag,
    stop: Flags.string({
      multiple: true,
      summary: 'Text that ends the generation; may be given several times.',
    }),
    batch: autoBatchFlag,
    ordered: orderedFlag,
    samples: integerFlag({
      min: 1,
      default: 1,
      summary: 'Continuations of each prompt; a long one is paid for once.',
    }),
    prompts: Flags.string({
      summary: 'JSON Lines of {"id", "prompt"} or {"id", "prompt_ids"}; - reads stdin.',
      helpValue: '<file>',
      exclusive: ['prompt-ids', 'load-state', 'save-state'],
    }),
    'prompt-ids': Flags.string({ summary: 'Token ids to continue, as 2,651,9.', helpValue: '<ids>' }),
    chat: Flags.boolean({
      summary: "Put the prompt in the model's chat template, for instruction-tuned models.",
    }),
    echo: Flags.boolean({ summary: 'Write the prompt first.' }),
    logprobs: Flags.boolean({ summary: "Give each token's log probability." }),
    'ignore-eos': Flags.boolean({ summary: 'Go on past the end of the text.' }),
    device: deviceFlag,
    threads: threadsFlag,
    stats: Flags.boolean({
      summary: 'Say on stderr how fast it was; with --json also as a last line of {"totals"}.',
    }),
    'save-state': outputFileFlag({ summary: 'Keep the state after the last token.' }),
    'load-state': existingPathFlag({
      summary: 'Go on from a kept state; the prompt comes after it.',
      helpValue: '<file>',
    }),
  };

  async run(): Promise<void> {
    const { generate, requireDevice, resultLine, RunStats, savedTokens, saveState } = await import(
      '../index.js'
    );
    const { flags } = this;
    requireDevice(flags.device);
    const text = await this.#promptText();
    const lines =
      flags.prompts === undefined ? undefined : await linesAhead(flags.prompts, flags, this.signal);
    const seen = flags['load-state'] === undefined ? 0 : await savedTokens(flags['load-state']);
    const { model, batch } = await loadForBatch(
      this.console,
      flags,
      this.#work(text, lines?.first, seen),
      this.signal,
    );
    const stats = new RunStats(batch);
    const totals = new SampleTotals(stats);
    let state: SavedState | undefined;
    let output: SampleWriter | undefined;
    try {
      if (flags.stop && !model.tokenizer)
        throw new UsageError('--stop needs a tokenizer, which this model folder has not.');
      const requests = await this.#requests(model, text, lines?.items);
      const events = generate(model.engine, requests, {
        maxTokens: flags['max-tokens'],
        temperature: flags.temperature,
        topK: flags['top-k'],
        topP: flags['top-p'],
        minP: flags['min-p'],
        seed: this.#seed(),
        batch,
        ordered: flags.ordered,
        stopIds: flags['ignore-eos'] ? [] : model.stopIds({ chat: flags.chat }),
        stopTexts: flags.stop ?? [],
        tokenizer: model.tokenizer,
        standAlone: flags.chat,
        keepState: flags['save-state'] !== undefined,
        stats,
        signal: this.signal,
      });
      output = sampleWriter(this.console, model, {
        alone: requests.length * flags.samples === 1 ? requests[0] : undefined,
        echo: flags.echo,
        logprobs: flags.logprobs,
        line: (result, prefix) => resultLine(result, { logprobs: flags.logprobs, prefix }),
      });
      for await (const event of events) {
        output.write(event);
        if (event.kind !== 'result') continue;
        totals.add(event);
        state = event.state;
      }
      warnOfLength(this.console, model, seen + totals.longest);
      if (flags['save-state'] && state) await saveState(flags['save-state'], model.engine.folder, state);
      if (flags.stats) {
        const stateBytes = await model.engine.stateBytes();
        if (flags.json) this.console.line({ totals: totals.json(stateBytes) });
        this.console.note(totals.describe(stateBytes));
      }
    } catch (error) {
      if (!this.signal.aborted) throw error;
      output?.cut();
      throw new InterruptedError(`Interrupted. ${finished(totals.texts)}`, { cause: error });
    } finally {
      await model.close();
    }
  }

  /**
   * What there is to do, as far as it can be told without a tokenizer.
   * @param seen tokens of the state to go on from.
   */
  #work(text: string | undefined, lines: readonly JsonLine[] | undefined, seen: number) {
    const { samples, 'max-tokens': maxTokens, 'prompt-ids': ids } = this.flags;
    const prompts = lines
      ? lines.map(({ value }) => estimateTokens(value.prompt, value.prompt_ids))
      : [estimateTokens(text, ids?.split(','))];
    return { sequences: prompts.length * samples, tokens: seen + maxTokens + Math.max(0, ...prompts) };
  }

  async #promptText(): Promise<string | undefined> {
    const { flags, args } = this;
    const given = [args.prompt, flags.prompts, flags['prompt-ids']].filter((source) => source !== undefined);
    if (given.length > 1) throw new UsageError('Give one of: a prompt, --prompts, --prompt-ids.');
    if (flags['save-state'] && flags.samples > 1)
      throw new UsageError('--save-state keeps one state; leave out --samples.');
    if (args.prompt !== undefined && args.prompt !== '-') return args.prompt;
    if (flags.prompts || flags['prompt-ids']) return undefined;
    const text = process.stdin.isTTY && args.prompt === undefined ? '' : await readStdin(this.signal);
    if (text !== '' || flags['load-state']) return text;
    throw new UsageError('There is no prompt.', {
      hint: 'Give it as an argument, on stdin, or as --prompts FILE.jsonl.',
    });
  }

  async #requests(
    model: TextModel,
    text: string | undefined,
    lines: AsyncIterable<JsonLine> | undefined,
  ): Promise<GenerateRequest[]> {
    const { loadState, parseIds, readPrompts } = await import('../index.js');
    const { flags } = this;
    const options = { chat: flags.chat, samples: flags.samples };
    if (lines) return readPrompts(lines, model, options);
    const load = flags['load-state'];
    const state = load === undefined ? undefined : await loadState(load, model.engine.folder);
    const ids = flags['prompt-ids'];
    const continued = state !== undefined;
    const prompt = ids !== undefined ? { ids: parseIds(ids) } : { text: text ?? '' };
    const nothing = continued && 'text' in prompt && prompt.text === '';
    const promptIds = nothing ? [] : await model.promptIds(prompt, { ...options, continued });
    return [{ id: '0', promptIds, samples: flags.samples, ...(state && { state }) }];
  }

  /** The given seed, or a random one that is told, so that a good text can be had again. */
  #seed(): number {
    const { temperature, seed } = this.flags;
    const drawing = ['top-k', 'top-p', 'min-p', 'seed'] as const;
    const unused = drawing.filter((flag) => this.flags[flag] !== undefined).map((flag) => `--${flag}`);
    if (this.flags.samples > 1) unused.push('--samples');
    if (temperature === 0 && unused.length > 0) {
      this.console.note(
        `With --temperature 0 the likeliest token is always taken; ${unused.join(', ')} changes nothing.`,
      );
    }
    if (temperature === 0 || seed !== undefined) return seed ?? 0;
    const random = Math.floor(Math.random() * 2 ** 32);
    this.console.note(`seed ${random}`);
    return random;
  }
}

function finished(count: number): string {
  return count === 0
    ? 'No text was finished.'
    : `${count} finished ${count === 1 ? 'text was' : 'texts were'} written.`;
}
