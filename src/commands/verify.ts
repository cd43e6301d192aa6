/** `recgemma verify`: does a model folder do what it should? */

import { Args } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.js';
import { existingPathFlag, numberFlag, threadsFlag } from '../cli/flags.js';
import type { VerifyReport } from '../index.js';

export default class Verify extends BaseCommand<typeof Verify> {
  static override summary = 'Check that a model folder is whole and does what it should';
  static override description =
    'Checks sizes and hashes of all files, that the model says the same however it is fed (at once, in pieces, in a batch, from a saved state), and, with --against, that it agrees with another model folder or with reference outputs.';
  static override examples = [
    '<%= config.bin %> verify model',
    '<%= config.bin %> verify model-int8 --against model-fp32',
    '<%= config.bin %> verify model --against expected.json --tolerance 1e-3',
  ];
  static override args = { model: Args.string({ required: true, description: 'Model folder.' }) };
  static override flags = {
    against: existingPathFlag({
      summary: 'Another model folder, or a JSON file of reference outputs.',
    }),
    tolerance: numberFlag({
      min: 0,
      dependsOn: ['against'],
      summary:
        'Largest difference from --against: in logits (5e-4), or between model folders in log probabilities (1e-3 where both are fp32, else none).',
    }),
    threads: threadsFlag,
  };

  async run(): Promise<void> {
    const { verifyModel } = await import('../index.js');
    const { model } = this.args;
    const { against, tolerance, threads } = this.flags;
    const report = await this.console.step(`verify ${model}`, (say) =>
      verifyModel(model, {
        against,
        tolerance,
        threads,
        onCheck: ({ name, passed }) => say(`verify ${model}: ${name} ${passed ? 'passed' : 'failed'}`),
        signal: this.signal,
      }),
    );
    this.verdict(report, () => {
      const rows = report.checks.map(({ name, passed, worst, tolerance, detail }) => [
        name,
        passed ? 'passed' : 'FAILED',
        format(worst),
        format(tolerance),
        detail,
      ]);
      return `${this.console.table(['CHECK', 'RESULT', 'WORST', 'ALLOWED', 'DETAIL'], rows)}\n\n${result(report)}`;
    });
  }
}

function result({ model, passed, checks }: VerifyReport): string {
  const good = checks.filter((check) => check.passed).length;
  return `RESULT ${passed ? 'passed' : 'FAILED'}: ${good} of ${checks.length} checks of ${model} passed`;
}

function format(value: number | null): string {
  if (value === null) return '-';
  return value === 0 ? '0' : value.toExponential(1);
}
