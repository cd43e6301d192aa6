/** How much was generated, and how fast. */

import { formatBytes } from '../bytes.js';
import type { ResultEvent } from '../index.js';
import { formatDuration } from './format.js';

/** What `--stats` says, added up as texts finish. */
export class SampleTotals {
  readonly #started = performance.now();
  #promptTokens = 0;
  #tokens = 0;
  #prefillMs = 0;
  /** Texts that are finished. */
  texts = 0;

  /** Takes one finished text. */
  add({ promptIds, tokenIds, sample, timing }: ResultEvent): void {
    this.texts += 1;
    this.#tokens += tokenIds.length;
    // A prompt is paid for once, whatever the number of its continuations.
    if (sample > 0) return;
    this.#promptTokens += promptIds.length;
    this.#prefillMs += timing.prefillMs;
  }

  /** One line for people. */
  describe(stateBytes: number): string {
    const wallMs = performance.now() - this.#started;
    const rate = (count: number, ms: number) => (ms > 0 ? ((1000 * count) / ms).toFixed(1) : '0');
    return [
      `prompt ${this.#promptTokens} tokens, ${rate(this.#promptTokens, this.#prefillMs)} a second`,
      `generated ${this.#tokens}, ${rate(this.#tokens, wallMs - this.#prefillMs)} a second`,
      `${formatBytes(stateBytes)} of state`,
      `${formatDuration(wallMs)} in all`,
    ].join('; ');
  }
}
