/** Sequences that wait for a row, in their order; one whose shared beginning is still being computed lets others pass. */

import type { Sequence } from './sequence.js';
import { isSharedPrefix } from './shared-prefix.js';

/** Sequences that are looked through for one that can begin. */
const LONGEST = 64;

/** Takes sequences from their source only when they are asked for. */
export class WaitingList<S extends Sequence> {
  readonly #source: AsyncIterator<S>;
  readonly #waiting: S[] = [];

  constructor(source: AsyncIterable<S>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Takes out the first sequence that can begin now; undefined where none can. */
  async next(): Promise<S | undefined> {
    for (let place = 0; place < LONGEST; place++) {
      if (place === this.#waiting.length && !(await this.#fetch())) return undefined;
      const { start } = this.#waiting[place]!;
      if (!start || start.state) return this.#waiting.splice(place, 1)[0];
    }
    return undefined;
  }

  /** Whether more than `count` sequences are left, shared beginnings not counted. */
  async hasMoreThan(count: number): Promise<boolean> {
    const left = () => this.#waiting.filter((sequence) => !isSharedPrefix(sequence)).length;
    while (left() <= count) if (!(await this.#fetch())) return false;
    return true;
  }

  async #fetch(): Promise<boolean> {
    const { done, value } = await this.#source.next();
    if (!done) this.#waiting.push(value);
    return !done;
  }
}
