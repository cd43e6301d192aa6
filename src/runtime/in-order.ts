/** Puts what comes as it is finished back into the order in which it was asked for. */

/** Holds each item back until all before it have come. */
export class InOrder<T> {
  readonly #held = new Map<number, T>();
  #next = 0;

  /** Takes the item of a place, counted from 0, and gives those whose turn has come. */
  *add(place: number, item: T): Generator<T> {
    this.#held.set(place, item);
    for (;;) {
      const due = this.#held.get(this.#next);
      if (due === undefined) return;
      this.#held.delete(this.#next++);
      yield due;
    }
  }
}
