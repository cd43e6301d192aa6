/** `recgemma inspect`: what a checkpoint or a model folder holds. */

import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { batchFlag, integerFlag } from '../cli/flags.js';
import { compareReports, describeReport } from '../cli/inspect-text.js';
import type { Cell } from '../cli/table.js';
import { UsageError } from '../errors.js';
import type { InspectReport } from '../index.js';
import Convert from './convert.js';

export default class Inspect extends BaseCommand<typeof Inspect> {
  static override summary = 'Show what checkpoints and model folders hold';
  static override description =
    'Reads headers only, so a large checkpoint takes no longer than a small one. The state of a Griffin is shown beside the key-value cache of a transformer of the same depth and width: the one stops growing, the other does not. Several paths are compared in one table; preset:NAME:PRECISION stands for a published model that need not be here.';
  static override examples = [
    '<%= config.bin %> inspect model',
    '<%= config.bin %> inspect 2b-it/ --batch 16 --context 2048,8192,131072',
    '<%= config.bin %> inspect griffin.pt --tensors --json',
    '<%= config.bin %> inspect preset:recurrentgemma-2b:int8 preset:gemma-2b:int8 preset:mamba-2.8b:int8',
  ];
  static override args = {
    path: Args.string({
      required: true,
      multiple: true,
      description:
        'Checkpoint file or folder, model folder, hf:org/name that is in the cache, or preset:NAME[:PRECISION]; one or several.',
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
    if (this.args.path.length > 1 && this.flags.tensors && !this.flags.json) {
      throw new UsageError('--tensors lists those of one path; with --json, of several.');
    }
    const reports: InspectReport[] = [];
    for (const path of this.args.path) reports.push(await this.#inspect(path));
    const [only] = reports;
    const table = (header: readonly string[], rows: (readonly Cell[])[]) => this.console.table(header, rows);
    if (reports.length === 1) this.console.result(only!, () => describeReport(only!, table));
    else this.console.result(reports, () => compareReports(reports, table));
  }

  async #inspect(path: string): Promise<InspectReport> {
    const { inspect } = await import('../index.js');
    const { tensors, batch, context, preset } = this.flags;
    const report = await inspect(path, {
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
    return report;
  }
}
