/** Stop strings over text that arrives in pieces. */

import { UsageError } from '../errors.js';

/**
 * Passes text on until a stop string appears, and cuts exactly before it. Text that might yet become one is held back,
 * so that nothing is shown which would have to be taken back; what comes out does not depend on how the text was cut.
 */
export class StopMatcher {
  private held = '';
  private stopped = false;

  /** @throws UsageError for an empty stop string, which would stop everything at once. */
  constructor(private readonly stops: readonly string[]) {
    if (stops.includes('')) throw new UsageError('A stop string must not be empty.');
  }

  /** Takes the next piece of text and returns what is sure to be shown. After a stop there is nothing more. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    if (this.stopped) return { text: '', stopped: true };
    this.held += text;
    const cut = this.firstStop();
    this.stopped = cut !== undefined;
    const shown = this.held.slice(0, cut ?? this.held.length - this.pendingLength());
    this.held = this.stopped ? '' : this.held.slice(shown.length);
    return { text: shown, stopped: this.stopped };
  }

  /** The text still held back, now that no more will come. */
  end(): string {
    const rest = this.held;
    this.held = '';
    return rest;
  }

  /** Where the stop string begins that is complete first; of those complete at once, the longest. */
  private firstStop(): number | undefined {
    let best: { readonly start: number; readonly end: number } | undefined;
    for (const stop of this.stops) {
      const start = this.held.indexOf(stop);
      const end = start + stop.length;
      if (start < 0) continue;
      if (!best || end < best.end || (end === best.end && start < best.start)) best = { start, end };
    }
    return best?.start;
  }

  /** Length of the longest end of the text that begins a stop string. */
  private pendingLength(): number {
    const longest = Math.max(0, ...this.stops.map((stop) => stop.length - 1));
    for (let length = Math.min(longest, this.held.length); length > 0; length--) {
      const end = this.held.slice(-length);
      if (this.stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
