/** How long work is shown: redrawn on a live terminal, plain lines anywhere else. */

import { formatBytes } from '../bytes.js';
import { formatDuration } from './format.js';
import { type Output, paint } from './terminal.js';

/** Something drawn on the terminal's last line that other output must not run into. */
export interface LiveLine {
  /** Wipes the line; it is drawn again with its next change or frame. */
  clear(): void;
  /** Ends the line for good, keeping it on the screen as done or failed. */
  end(succeeded: boolean): void;
}

/** A spinner with a text that changes. */
export interface Spinner extends LiveLine {
  say(text: string): void;
}

/** A bar that fills. */
export interface Bar extends LiveLine {
  /** Says how many of the total bytes are done, and the total where it has become known only now. */
  update(done: number, total?: number): void;
}

/** A spinner on a live terminal, by ora. Its reading of stdin (which would swallow Ctrl-C) stays off. */
export async function liveSpinner(stream: Output, text: string, color: boolean): Promise<Spinner> {
  const { default: ora } = await import('ora');
  const spinner = ora({
    text,
    stream: stream as NodeJS.WritableStream,
    isEnabled: true,
    color: color ? 'cyan' : false,
    discardStdin: false,
  }).start();
  return {
    say: (changed) => {
      spinner.text = changed;
    },
    clear: () => void spinner.clear(),
    end: (succeeded) => {
      spinner.stopAndPersist({ symbol: outcome(succeeded, color), text: succeeded ? text : spinner.text });
    },
  };
}

/** A bar on a live terminal, by cli-progress, with bytes and the time left; at its end one line says what was done. */
export async function liveBar(stream: Output, title: string, expected: number, color: boolean): Promise<Bar> {
  const { default: cliProgress } = await import('cli-progress');
  const bar = new cliProgress.SingleBar({
    stream: stream as NodeJS.WritableStream,
    format: `${title} {bar} {percentage} % {bytes} {left}`,
    barsize: 30,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    linewrap: false,
    clearOnComplete: true,
    gracefulExit: false, // signals are the base command's
    emptyOnZero: true,
  });
  const started = Date.now();
  let total = expected;
  let reached = 0;
  let isShown = false;
  const show = () => {
    const left = timeLeft(reached, total, Date.now() - started);
    const payload = { bytes: bytesOf(reached, total), left };
    if (isShown) bar.update(reached, payload);
    else bar.start(total, reached, payload);
    isShown = true;
  };
  // Stopping returns to the place where the bar started, so it must stop before anything else is written.
  const clear = () => {
    if (isShown) bar.stop();
    isShown = false;
  };
  show();
  return {
    update: (done, known = total) => {
      total = known;
      reached = Math.min(done, total);
      bar.setTotal(total);
      show();
    },
    clear,
    end: (succeeded) => {
      clear();
      const time = formatDuration(Date.now() - started);
      stream.write(`${outcome(succeeded, color)} ${title} ${bytesOf(reached, total)} in ${time}\n`);
    },
  };
}

function outcome(succeeded: boolean, color: boolean): string {
  return succeeded ? paint(color, 'green', '✔') : paint(color, 'red', '✖');
}

/** The plain bar writes a line when so much more is done, or so long has passed since the last. */
const LINE_EVERY_PERCENT = 10;
const LINE_EVERY_MS = 10_000;
/** Work that is done sooner needs no lines. */
const FIRST_LINE_MS = 1000;

/** A bar for pipes and logs: a line such as `convert 40 % 1.2/3.0 GiB` every 10 % or 10 s. */
export function plainBar(
  write: (line: string) => void,
  title: string,
  expected: number,
  now: () => number,
): Bar {
  const started = now();
  let last = { percent: 0, time: started };
  return {
    update: (done, total = expected) => {
      const percent = total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : 100;
      const stepped =
        Math.floor(percent / LINE_EVERY_PERCENT) > Math.floor(last.percent / LINE_EVERY_PERCENT);
      if (!stepped && now() - last.time < LINE_EVERY_MS) return;
      if (now() - started < FIRST_LINE_MS) return;
      write(`${title} ${percent} % ${bytesOf(done, total)}`);
      last = { percent, time: now() };
    },
    clear: () => {},
    end: () => {},
  };
}

/** `1.2/3.0 GiB`, or with both units where they differ: `512.0 KiB/3.0 GiB`. */
function bytesOf(done: number, total: number): string {
  const [a = '', unitA] = formatBytes(done).split(' ');
  const [b, unitB] = formatBytes(total).split(' ');
  return unitA === unitB ? `${a}/${b} ${unitB}` : `${a} ${unitA}/${b} ${unitB}`;
}

function timeLeft(done: number, total: number, elapsed: number): string {
  return done > 0 && done < total ? `${formatDuration((elapsed * (total - done)) / done)} left` : '';
}
