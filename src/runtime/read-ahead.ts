/** Looks ahead in what comes one by one, without losing any of it. */

/** The beginning of a stream that has been read, and the whole of it. */
export interface ReadAhead<T> {
  /** The items that were there: as many as were asked for, or all. */
  readonly first: readonly T[];
  /** All items, from the first on. */
  readonly items: AsyncIterable<T>;
}

/** Reads up to `count` items before they are wanted. */
export async function readAhead<T>(source: AsyncIterable<T>, count: number): Promise<ReadAhead<T>> {
  const iterator = source[Symbol.asyncIterator]();
  const first: T[] = [];
  while (first.length < count) {
    const { done, value } = await iterator.next();
    if (done) break;
    first.push(value);
  }
  const rest: AsyncIterable<T> = { [Symbol.asyncIterator]: () => iterator };
  async function* items() {
    yield* first;
    yield* rest;
  }
  return { first, items: items() };
}
