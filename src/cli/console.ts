/** The only writer to stdout and stderr: results to the first, all that is said about the work to the second. */

import { type Bar, type LiveLine, liveBar, liveSpinner, plainBar } from './progress.js';
import { type Cell, formatTable } from './table.js';
import { type Environment, isLive, type Output, paint, usesColor } from './terminal.js';

/** What a console is made of; everything has the process's own as its default. */
export interface ConsoleOptions {
  readonly stdout?: Output;
  readonly stderr?: Output;
  readonly env?: Environment;
  /** Results as JSON. */
  readonly json?: boolean;
  /** Results and errors only. */
  readonly quiet?: boolean;
  /** Details as well. */
  readonly verbose?: boolean;
  /** Colour as asked for by `--[no-]color`; undefined leaves it to the terminal. */
  readonly color?: boolean | undefined;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

/** Says what a step is doing now. */
export type Report = (text: string) => void;

export class Console {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #live: boolean;
  readonly #color: { readonly stdout: boolean; readonly stderr: boolean };
  readonly #now: () => number;
  #line: LiveLine | undefined;
  #outputClosed = false;

  constructor(options: ConsoleOptions = {}) {
    const { stdout = process.stdout, stderr = process.stderr, env = process.env } = options;
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
    this.verbose = options.verbose ?? false;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#live = isLive(stderr, env);
    this.#color = {
      stdout: usesColor(stdout, env, options.color),
      stderr: usesColor(stderr, env, options.color),
    };
    this.#now = options.now ?? Date.now;
  }

  /** A command's one result: `value` as JSON with `--json`, else its text. */
  result(value: unknown, text: () => string): void {
    this.write(`${this.json ? JSON.stringify(value, null, 2) : text()}\n`);
  }

  /** One line of JSON Lines, for results that come one by one. */
  line(value: unknown): void {
    this.write(`${JSON.stringify(value)}\n`);
  }

  /** Text for stdout as it is, for results that stream. */
  write(text: string): void {
    if (this.#outputClosed) return;
    this.#line?.clear();
    this.#stdout.write(text);
  }

  /** Rows in aligned columns, as text for {@link result}; the header is bold on a terminal. */
  table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
    const [first = '', ...rest] = formatTable(header, rows).split('\n');
    return [paint(this.#color.stdout, 'bold', first), ...rest].join('\n');
  }

  /** Something worth knowing. */
  note(text: string): void {
    if (!this.quiet) this.#say(text);
  }

  /** Something to know only with `--verbose`. */
  detail(text: string): void {
    if (this.verbose && !this.quiet) this.#say(paint(this.#color.stderr, 'dim', text));
  }

  /** Something that may be wrong. */
  warn(text: string): void {
    if (!this.quiet) this.#say(`${paint(this.#color.stderr, 'yellow', 'warning:')} ${text}`);
  }

  /** An error: never wrapped, so that a command in the hint can be copied. Said even when quiet. */
  fail(label: string | undefined, message: string, hint?: string): void {
    this.#say(label === undefined ? message : `${paint(this.#color.stderr, 'red', `${label}:`)} ${message}`);
    if (hint !== undefined) this.#say(`${paint(this.#color.stderr, 'cyan', 'hint:')} ${hint}`);
  }

  /** A stack trace, for `--debug`. */
  trace(stack: string): void {
    this.#say(stack);
  }

  /** Runs `work` under a spinner whose text it changes by `report`; without a live terminal `text` is one plain line. */
  async step<T>(text: string, work: (report: Report) => Promise<T>): Promise<T> {
    if (this.quiet) return work(() => {});
    if (!this.#live || this.#line !== undefined) {
      this.note(text);
      return work((changed) => this.detail(changed));
    }
    const spinner = await liveSpinner(this.#stderr, text, this.#color.stderr);
    return this.#during(spinner, () => work((changed) => spinner.say(changed)));
  }

  /** Runs `work` under a bar of `totalBytes`, which it moves by `update(doneBytes)`; in a pipe, lines every 10 % or 10 s. */
  async progress<T>(
    title: string,
    totalBytes: number,
    work: (update: Bar['update']) => Promise<T>,
  ): Promise<T> {
    if (this.quiet) return work(() => {});
    const bar =
      this.#live && this.#line === undefined
        ? await liveBar(this.#stderr, title, totalBytes, this.#color.stderr)
        : plainBar((line) => this.note(line), title, totalBytes, this.#now);
    return this.#during(bar, () => work(bar.update));
  }

  /** Stops writing to stdout, whose reader has gone. */
  closeOutput(): void {
    this.#outputClosed = true;
  }

  async #during<T>(line: LiveLine, work: () => Promise<T>): Promise<T> {
    const outer = this.#line;
    this.#line = line;
    const restore = () => line.clear(); // the cursor and line wrapping, should the process end in the middle
    process.once('exit', restore);
    let succeeded = false;
    try {
      const result = await work();
      succeeded = true;
      return result;
    } finally {
      process.off('exit', restore);
      line.end(succeeded);
      this.#line = outer;
    }
  }

  #say(text: string): void {
    this.#line?.clear();
    this.#stderr.write(`${text}\n`);
  }
}
