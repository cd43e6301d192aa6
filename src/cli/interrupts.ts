/** Ctrl-C, SIGTERM and a reader of stdout that has gone, all as one AbortSignal. */

import { InterruptedError } from '../errors.js';
import type { Console } from './console.js';
import { exitInterrupted } from './threads.js';

/** npm and npx pass Ctrl-C on although the terminal has sent it already; a second signal this soon is the same one. */
const SAME_SIGNAL_MS = 100;
/** A command that has not stopped by then says that it heard. */
const ACKNOWLEDGE_MS = 150;

/** What {@link watchInterrupts} gives. */
export interface Interrupts {
  /** Fires once; its reason is an InterruptedError. */
  readonly signal: AbortSignal;
  /** Whether it fired because nobody reads stdout any more (`| head`), which is no failure. */
  readonly outputClosed: boolean;
  /** Gives the signals back to Node's own handling. */
  dispose(): void;
}

/** Watches the process until disposed. The first signal asks the work to stop, a second ends the process with 130. */
export function watchInterrupts(console: Console): Interrupts {
  const controller = new AbortController();
  let outputClosed = false;
  let firstSignal: number | undefined;
  let acknowledgement: NodeJS.Timeout | undefined;

  const onSignal = () => {
    if (firstSignal !== undefined) {
      if (performance.now() - firstSignal >= SAME_SIGNAL_MS) exitInterrupted();
      return;
    }
    firstSignal = performance.now();
    acknowledgement = setTimeout(
      () => console.note('Stopping. Press Ctrl-C again to quit at once.'),
      ACKNOWLEDGE_MS,
    );
    controller.abort(new InterruptedError());
  };
  const onOutputError = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') return;
    outputClosed = true;
    console.closeOutput();
    controller.abort(new InterruptedError());
  };

  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.stdout.on('error', onOutputError);
  return {
    signal: controller.signal,
    get outputClosed() {
      return outputClosed;
    },
    dispose() {
      clearTimeout(acknowledgement);
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
      process.stdout.off('error', onOutputError);
    },
  };
}
