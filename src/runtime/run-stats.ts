/** What a run of the scheduler did: how full its calls were, and what was computed or saved. */

/** One call of the model, as it is counted. */
export interface CallFacts {
  /** Rows of it that carried a token. */
  readonly rows: number;
  /** Tokens of all rows. */
  readonly tokens: number;
  /** Those of them that sequences came with; the others were drawn. */
  readonly promptTokens: number;
  readonly milliseconds: number;
  /** Whether more sequences were waiting than the batch had free rows. */
  readonly crowded: boolean;
}

/** Adds up what {@link CallFacts} say; hand one to `generate` or `score`, and read it at any time. */
export class RunStats {
  /** Calls of the model. */
  calls = 0;
  /** Tokens of prompts, contexts and continuations that were computed. */
  promptTokens = 0;
  /** Tokens of those that were not computed, because others begin with the same. */
  sharedTokens = 0;
  /** Milliseconds that the computed tokens of prompts took; a call's time is divided by its tokens. */
  promptMs = 0;
  #crowdedCalls = 0;
  #busyShares = 0;

  /** @param batch rows that run together. */
  constructor(readonly batch: number) {}

  /** Takes a call in. */
  add({ rows, tokens, promptTokens, milliseconds, crowded }: CallFacts): void {
    this.calls += 1;
    this.promptTokens += promptTokens;
    this.promptMs += (milliseconds * promptTokens) / tokens;
    if (!crowded) return;
    this.#crowdedCalls += 1;
    // Rows that are filled ahead make a call larger than the batch.
    this.#busyShares += Math.min(1, rows / this.batch);
  }

  /**
   * Rows that carried a token in a call, as a share of the batch, on average over the calls that were made while more sequences were waiting than the batch
   * had free rows: at the end there is nothing to fill rows with. 1 where there was no such call.
   */
  get busy(): number {
    return this.#crowdedCalls === 0 ? 1 : this.#busyShares / this.#crowdedCalls;
  }
}
