/** What every command shares: global flags, the console, Ctrl-C, and errors that reach `exitWith` unchanged. */

import { Command, Flags, type Interfaces } from '@oclif/core';
import { CheckError, InterruptedError } from '../errors.js';
import { Console } from './console.js';
import { isInterruption } from './describe-error.js';
import { withEnvironment } from './environment.js';
import { type Interrupts, watchInterrupts } from './interrupts.js';
import { usageError } from './usage-error.js';

type CommandFlags<T extends typeof Command> = Interfaces.InferredFlags<
  (typeof BaseCommand)['baseFlags'] & T['flags']
>;
type CommandArgs<T extends typeof Command> = Interfaces.InferredArgs<T['args']>;

/**
 * The base of all commands. A command is thin: flags in, one library call, result out (`src/commands/devices.ts` is the
 * smallest example). To add one, write `src/commands/<name>.ts` and give it a line in `src/cli/main.ts`:
 *
 * ```ts
 * export default class Inspect extends BaseCommand<typeof Inspect> {
 *   static override summary = 'Show what a checkpoint or a model folder holds';
 *   static override args = { path: Args.string({ required: true, description: 'checkpoint or model folder' }) };
 *   static override flags = { tensors: Flags.boolean({ summary: 'List every tensor.' }) };
 *
 *   async run(): Promise<void> {
 *     const { inspect } = await import('../index.js');
 *     const report = await inspect(this.args.path, { signal: this.signal });
 *     this.console.result(report, () => this.console.table(['tensor', 'shape'], rowsOf(report)));
 *   }
 * }
 * ```
 *
 * - All commands are loaded together: import only oclif, `../cli/…` and types at the top, the library inside `run()`,
 *   and that always as `../index.js`, which the bundle leaves out.
 * - Write by `this.console` only, never by `this.log` or `process.stdout`.
 * - Throw errors of `src/errors.ts`; they become messages, JSON and exit codes elsewhere.
 * - Hand `this.signal` to whatever takes long. Work that it stops throws InterruptedError saying what was kept.
 * - Every flag is also read from `RECGEMMA_<FLAG>`; nothing needs to be declared for it.
 */
export abstract class BaseCommand<T extends typeof Command> extends Command {
  static override baseFlags = {
    json: Flags.boolean({ summary: 'Write the result, or the error, as JSON.', helpGroup: 'GLOBAL' }),
    quiet: Flags.boolean({ char: 'q', summary: 'Write results and errors only.', helpGroup: 'GLOBAL' }),
    verbose: Flags.boolean({ char: 'v', summary: 'Say more about the work.', helpGroup: 'GLOBAL' }),
    color: Flags.boolean({ allowNo: true, summary: 'Colour, or none.', helpGroup: 'GLOBAL' }),
    debug: Flags.boolean({ summary: 'Show the stack trace of an error.', helpGroup: 'GLOBAL' }),
  };

  protected flags!: CommandFlags<T>;
  protected args!: CommandArgs<T>;
  protected console!: Console;
  #interrupts: Interrupts | undefined;

  /** Fires on the first Ctrl-C or SIGTERM, and when the reader of stdout has gone. */
  protected get signal(): AbortSignal {
    return this.#interrupts!.signal;
  }

  override async init(): Promise<void> {
    await super.init();
    const command = this.ctor as T;
    const parsing = this.parse({
      args: withoutStdin(command.args ?? {}),
      flags: withEnvironment(command.flags ?? {}),
      baseFlags: withEnvironment(BaseCommand.baseFlags),
      strict: command.strict,
      ...(command.constraints === undefined ? {} : { constraints: command.constraints }),
    });
    const { args, flags } = await parsing.catch((error: unknown) => {
      throw usageError(error, this.id ?? '');
    });
    this.args = args as CommandArgs<T>;
    this.flags = flags as CommandFlags<T>;
    const { json, quiet, verbose, color } = flags;
    this.console = new Console({ json, quiet, verbose, color });
    this.#interrupts = watchInterrupts(this.console);
  }

  /**
   * Writes a report that holds its own verdict. Where that is a failure the process ends as CheckError would end it, but no error
   * follows the report: it says everything, and with `--json` it stays the only thing on stdout.
   */
  protected verdict(report: { readonly passed: boolean }, text: () => string): void {
    this.console.result(report, text);
    if (!report.passed) process.exitCode = new CheckError('A check failed.').exitCode;
  }

  /** After an interruption every error is that interruption's doing; when nobody reads the output, there is no error. */
  override async catch(error: Error): Promise<void> {
    if (this.#interrupts?.outputClosed) return;
    if (this.#interrupts?.signal.aborted && !isInterruption(error)) {
      throw new InterruptedError(undefined, { cause: error });
    }
    throw error;
  }

  /** A command that was told to stop, and simply returned, was interrupted too. */
  override async finally(error: Error | undefined): Promise<void> {
    const interrupts = this.#interrupts;
    interrupts?.dispose();
    if (error === undefined && interrupts?.signal.aborted && !interrupts.outputClosed)
      throw interrupts.signal.reason;
  }
}

/** Keeps oclif from filling a missing argument from stdin, for which it waits 10 ms. Commands read stdin themselves. */
function withoutStdin<A extends Interfaces.ArgInput>(args: A): A {
  return Object.fromEntries(
    Object.entries(args).map(([name, arg]) => [name, { ...arg, ignoreStdin: true }]),
  ) as unknown as A;
}
