/** `recgemma convert`: a checkpoint to a model folder. */

import { Args, Flags } from '@oclif/core';
import { formatBytes } from '../bytes.js';
import { BaseCommand } from '../cli/base-command.js';
import { existingPathFlag, integerFlag } from '../cli/flags.js';
import { formatDuration, formatQuality } from '../cli/format.js';
import type { ConvertOptions, ConvertReport, Quality, ResolvedCheckpoint, VerifyCheck } from '../index.js';

export default class Convert extends BaseCommand<typeof Convert> {
  static override summary = 'Convert a checkpoint to a model folder';
  static override description =
    'The format is told by the content: Orbax folders, PyTorch .pt and .bin, safetensors, single or sharded. Weights stream through, so a 9B model needs less than 1 GiB of memory.';
  static override examples = [
    '<%= config.bin %> convert hf:google/recurrentgemma-2b-it --out recurrentgemma-2b-it',
    '<%= config.bin %> convert 2b-it/ --out model --tokenizer tokenizer.model',
    '<%= config.bin %> convert griffin.pt --out model --model-config config.json --dry-run',
    '<%= config.bin %> convert --preset recurrentgemma-2b --random-weights 0 --out random-2b --precision int4',
  ];
  static override args = {
    checkpoint: Args.string({ description: 'Checkpoint file or folder, or hf:org/name[@revision].' }),
  };
  static override flags = {
    out: Flags.string({ char: 'o', required: true, summary: 'Model folder to make.', helpValue: '<dir>' }),
    precision: Flags.option({
      char: 'p',
      options: ['fp32', 'fp16', 'int8', 'int4'] as const,
      default: 'fp32' as const,
      summary: 'How the matrices are stored: int8 for speed, int4 for the smallest file.',
    })(),
    'block-size': Flags.option({
      options: ['32', '128'] as const,
      default: '128' as const,
      summary: 'Weights that share a scale, in int4; fewer are more exact.',
    })(),
    'kv-cache': Flags.option({
      options: ['auto', 'float32', 'int8'] as const,
      default: 'auto' as const,
      summary:
        'How keys and values are kept: int8 in a quarter of the memory; auto: int8 with int8 and int4.',
    })(),
    device: Flags.option({
      options: ['cpu'] as const,
      default: 'cpu' as const,
      summary: 'Device that the graph is made for.',
    })(),
    from: Flags.option({
      options: ['auto', 'flax', 'torch', 'hf'] as const,
      default: 'auto' as const,
      summary: "Whose tensor names the checkpoint has: DeepMind's JAX or PyTorch, or Hugging Face's.",
    })(),
    preset: Flags.string({
      summary:
        'Published model whose config it is, such as recurrentgemma-2b or gemma-2b; a wrong name lists them all.',
      helpValue: '<name>',
    }),
    'random-weights': integerFlag({
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
      summary: 'No checkpoint, but random weights of the preset, from this seed.',
      helpValue: '<seed>',
    }),
    'model-config': existingPathFlag({
      summary:
        'JSON with what the checkpoint does not hold, in the field names of GriffinConfig or, for other families, of Hugging Face.',
      helpValue: '<file>',
    }),
    'attention-window': integerFlag({ min: 1, summary: 'Keys that a query sees before itself.' }),
    tokenizer: existingPathFlag({ summary: 'Tokenizer file, or folder that holds one.' }),
    logits: Flags.option({
      options: ['last', 'all'] as const,
      default: 'last' as const,
      summary: 'all: plain logits [batch, time, vocab], for other tools.',
    })(),
    verify: Flags.boolean({
      allowNo: true,
      summary:
        'Check the model folder, and measure its quality against float32; unasked, that of small models is measured.',
    }),
    'dry-run': Flags.boolean({ summary: 'Say what would be converted, and write nothing.' }),
    force: Flags.boolean({ summary: 'Replace the model folder that is there.' }),
    offline: Flags.boolean({ summary: 'Take hf: checkpoints from the cache only.' }),
  };

  async run(): Promise<void> {
    const { convert, measureQuality, planQuality } = await import('../index.js');
    const { from, preset, tokenizer, logits, force, out } = this.flags;
    const options = {
      ...(await this.#source()),
      out,
      from: from === 'auto' ? undefined : from,
      preset,
      modelConfig: this.flags['model-config'],
      attentionWindow: this.flags['attention-window'],
      tokenizer,
      logits,
      precision: this.flags.precision,
      keyValues: this.flags['kv-cache'] === 'auto' ? undefined : this.flags['kv-cache'],
      blockSize: Number(this.flags['block-size']),
      force,
      dryRun: this.flags['dry-run'],
      signal: this.signal,
    };
    const plan = await planQuality(options, this.flags.verify);
    const report = options.dryRun
      ? await convert(options)
      : await this.console.progress('convert', 0, (onProgress) => convert({ ...options, onProgress }));
    for (const note of report.notes) this.console.note(note);
    for (const warning of report.warnings) this.console.warn(warning);
    if (plan.note !== undefined) this.console.note(plan.note);
    const measured = plan.measures
      ? await this.console.step(`measure ${out} against float32`, () => measureQuality(options))
      : undefined;
    if (this.flags.verify && report.written) await this.#verify(out, measured?.checks ?? []);
    const quality = measured?.quality ?? null;
    this.console.result({ ...report, quality }, () => describe(report, quality));
  }

  /** What to convert: the checkpoint, brought here, or random weights. */
  async #source(): Promise<Pick<ConvertOptions, 'checkpoint' | 'hub'>> {
    const { UsageError } = await import('../index.js');
    const { checkpoint } = this.args;
    const seed = this.flags['random-weights'];
    if (checkpoint === undefined) {
      if (seed !== undefined) return { checkpoint: { randomSeed: seed } };
      throw new UsageError('Missing argument: CHECKPOINT.', {
        hint: 'To convert without one, give --preset and --random-weights.',
      });
    }
    if (seed !== undefined) throw new UsageError('CHECKPOINT and --random-weights cannot go together.');
    const { path, hub } = await this.#resolve(checkpoint);
    return { checkpoint: path, hub };
  }

  async #resolve(checkpoint: string): Promise<ResolvedCheckpoint> {
    const { resolveCheckpoint } = await import('../index.js');
    const options = { offline: this.flags.offline, signal: this.signal };
    if (!checkpoint.startsWith('hf:')) return resolveCheckpoint(checkpoint, options);
    return this.console.progress('download', 0, (update) =>
      resolveCheckpoint(checkpoint, {
        ...options,
        onProgress: ({ receivedBytes, totalBytes }) => update(receivedBytes, totalBytes),
      }),
    );
  }

  /**
   * @param measured what was checked of the folder already.
   * @throws CheckError where the model folder does not do what it should.
   */
  async #verify(out: string, measured: readonly VerifyCheck[]): Promise<void> {
    const { verifyModel, CheckError } = await import('../index.js');
    const { checks } = await this.console.step(`verify ${out}`, () =>
      verifyModel(out, { signal: this.signal }),
    );
    const failed = [...checks, ...measured].filter((check) => !check.passed).map((check) => check.name);
    if (failed.length === 0) return;
    throw new CheckError(`${out} was written, but failed: ${failed.join(', ')}.`, {
      hint: `See the whole report with: recgemma verify ${out}`,
    });
  }
}

function describe(report: ConvertReport, quality: Quality | null): string {
  const { out, family, format, parameters, seconds } = report;
  const weights = `${formatBytes(report.weight_bytes)} of weights`;
  const what = `${family}, ${(parameters / 1e6).toFixed(1)} M parameters, from ${format}`;
  const { state_bytes_per_sequence: most, state_bytes_per_token: growth } = report;
  const state =
    growth === 0
      ? `${formatBytes(most)} of state a sequence, whatever its length`
      : `${formatBytes(growth)} of state a token, ${formatBytes(most)} at full context`;
  if (!report.written) return `Would write ${out}: ${what}, ${weights}; ${state}.`;
  const wrote = `Wrote ${out}: ${what}, ${weights} in ${formatDuration(1000 * seconds)}; ${state}.`;
  return quality ? `${wrote}\nQuality: ${formatQuality(quality)}.` : wrote;
}
