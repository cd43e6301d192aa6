/** How much was generated, and how fast. */

import { formatBytes } from '../bytes.js';
import type { ResultEvent, RunStats } from '../index.js';
import { formatDuration } from './format.js';

/** What `--stats` says, added up as texts finish. */
export class SampleTotals {
  readonly #started = performance.now();
  readonly #stats: RunStats;
  #promptTokens = 0;
  #tokens = 0;
  /** Texts that are finished. */
  texts = 0;
  /** Tokens of the longest, its prompt included. */
  longest = 0;

  /** @param stats what the generation counts into. */
  constructor(stats: RunStats) {
    this.#stats = stats;
  }

  /** Takes one finished text. */
  add({ promptIds, tokenIds, sample }: ResultEvent): void {
    this.texts += 1;
    this.#tokens += tokenIds.length;
    this.longest = Math.max(this.longest, promptIds.length + tokenIds.length);
    // All continuations of a prompt have the same.
    if (sample === 0) this.#promptTokens += promptIds.length;
  }

  /** One line for people. */
  describe(stateBytes: number): string {
    const { batch, busy, promptTokens, promptMs, sharedTokens } = this.#stats;
    const wallMs = performance.now() - this.#started;
    const rate = (count: number, ms: number) => (ms > 0 ? ((1000 * count) / ms).toFixed(1) : '0');
    const shared = sharedTokens > 0 ? ` and ${sharedTokens} shared` : '';
    return [
      `prompt ${this.#promptTokens} tokens, ${rate(promptTokens, promptMs)} a second${shared}`,
      `generated ${this.#tokens}, ${rate(this.#tokens, wallMs - promptMs)} a second`,
      ...(batch > 1 ? [`${batch} rows, ${Math.round(100 * busy)} % busy`] : []),
      `${formatBytes(stateBytes)} of state`,
      `${formatDuration(wallMs)} in all`,
    ].join('; ');
  }

  /** The same for programs. */
  json(stateBytes: number): object {
    const { batch, busy, calls, promptTokens, promptMs, sharedTokens } = this.#stats;
    return {
      texts: this.texts,
      prompt_tokens: this.#promptTokens,
      computed_prompt_tokens: promptTokens,
      shared_prompt_tokens: sharedTokens,
      generated_tokens: this.#tokens,
      batch,
      busy,
      calls,
      state_bytes: stateBytes,
      prompt_ms: promptMs,
      total_ms: performance.now() - this.#started,
    };
  }
}
