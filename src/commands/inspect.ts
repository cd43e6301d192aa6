/** `recgemma inspect`: what a checkpoint or a model folder holds. */

import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { batchFlag, integerFlag } from '../cli/flags.js';
import { describeReport } from '../cli/inspect-text.js';
import Convert from './convert.js';

export default class Inspect extends BaseCommand<typeof Inspect> {
  static override summary = 'Show what a checkpoint or a model folder holds';
  static override description =
    'Reads headers only, so a large checkpoint takes no longer than a small one. The state of the model is shown beside the key-value cache of a transformer of the same depth and width: the one stops growing, the other does not.';
  static override examples = [
    '<%= config.bin %> inspect model',
    '<%= config.bin %> inspect 2b-it/ --batch 16 --context 2048,8192,131072',
    '<%= config.bin %> inspect griffin.pt --tensors --json',
  ];
  static override args = {
    path: Args.string({
      required: true,
      description: 'Checkpoint file or folder, model folder, or hf:org/name that is in the cache.',
    }),
  };
  static override flags = {
    tensors: Flags.boolean({ summary: 'List every tensor.' }),
    batch: batchFlag,
    context: integerFlag({
      min: 1,
      max: 2 ** 31,
      multiple: true,
      delimiter: ',',
      default: [2048, 8192, 32768],
      summary: 'Lengths in tokens to show the memory for.',
      helpValue: '<n>,..',
    }),
    preset: Convert.flags.preset,
    'model-config': Convert.flags['model-config'],
    'attention-window': Convert.flags['attention-window'],
  };

  async run(): Promise<void> {
    const { inspect } = await import('../index.js');
    const { tensors, batch, context, preset } = this.flags;
    const report = await inspect(this.args.path, {
      tensors,
      batch,
      contexts: context,
      preset,
      modelConfig: this.flags['model-config'],
      attentionWindow: this.flags['attention-window'],
      signal: this.signal,
    });
    for (const note of report.notes) this.console.note(note);
    for (const warning of report.warnings) this.console.warn(warning);
    this.console.result(report, () =>
      describeReport(report, (header, rows) => this.console.table(header, rows)),
    );
  }
}
