/** Something large that is made for the first of several readers, and let go after the last. */

/** What is held, and by how many tensors it is read. */
interface Holding<T> {
  readonly parts: number;
  make(): Promise<T>;
  letGo(made: T): void;
}

/** Makes a thing when its first part is read, keeps it until every part was read to its end, and makes it anew if asked again. */
export class Held<T> {
  readonly #holding: Holding<T>;
  #made: Promise<T> | undefined;
  #unread = new Set<number>();
  #readers = 0;

  constructor(holding: Holding<T>) {
    this.#holding = holding;
  }

  /** Hands out what `take` finds in the thing for part number `part`. */
  async *read<P>(part: number, take: (made: T) => Iterable<P>): AsyncGenerator<P> {
    const made = this.#made ?? this.#make();
    this.#readers++;
    try {
      yield* take(await made);
      this.#unread.delete(part);
    } finally {
      this.#readers--;
      if (this.#readers === 0 && this.#unread.size === 0) {
        this.#made = undefined;
        this.#holding.letGo(await made);
      }
    }
  }

  #make(): Promise<T> {
    this.#unread = new Set(Array(this.#holding.parts).keys());
    const made = this.#holding.make();
    this.#made = made;
    made.catch(() => {
      this.#made = undefined;
    });
    return made;
  }
}
