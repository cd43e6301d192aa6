/** Byte-pair merging: the best neighbours first, in O(n log n) for a text of n symbols. */

/** Which neighbours merge, in which order, into what. */
export interface MergeTable {
  /** The number of the merge that joins these two symbols, or -1. */
  find(left: number, right: number): number;
  /** By merge: the smaller is done first, below 2^21; of equals, the leftmost. */
  readonly priority: ArrayLike<number>;
  /** By merge: the symbol that it makes. */
  readonly product: ArrayLike<number>;
}

/** Positions in a heap key; a text of this many symbols is longer than a JavaScript string can be. */
const POSITIONS = 2 ** 31;

/** Merges `symbols` in place until nothing merges, and returns the part that holds the result. */
export function applyMerges(symbols: Int32Array, merges: MergeTable): Int32Array {
  const count = symbols.length;
  if (count < 2) return symbols;
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  // The merge that the symbol at a place and its right neighbour now stand for: queued ones that differ are stale.
  const candidate = new Int32Array(count).fill(-1);
  const queue = new MinHeap(3 * count);

  const consider = (left: number, right: number): void => {
    const merge = merges.find(symbols[left]!, symbols[right]!);
    candidate[left] = merge;
    if (merge >= 0) queue.push(merges.priority[merge]! * POSITIONS + left);
  };

  for (let i = 0; i < count; i++) {
    next[i] = i + 1 < count ? i + 1 : -1;
    previous[i] = i - 1;
    if (i > 0) consider(i - 1, i);
  }

  while (queue.size > 0) {
    const key = queue.pop();
    const left = key % POSITIONS;
    const merge = candidate[left]!;
    if (merge < 0 || merges.priority[merge] !== (key - left) / POSITIONS) continue;
    const right = next[left]!;
    const after = next[right]!;
    symbols[left] = merges.product[merge]!;
    candidate[left] = -1;
    candidate[right] = -1;
    next[left] = after;
    if (after >= 0) {
      previous[after] = left;
      consider(left, after);
    }
    if (previous[left]! >= 0) consider(previous[left]!, left);
  }

  let kept = 0;
  for (let i = 0; i >= 0; i = next[i]!) symbols[kept++] = symbols[i]!;
  return symbols.subarray(0, kept);
}

/** The cache of pairs has 2^18 places: 3 MiB, and nearly every pair of ordinary text is found there. */
const CACHE_BITS = 18;

/** A `MergeTable.find` that remembers its answers, the newest at each place, in fixed memory. */
export function cachedPairs(
  find: (left: number, right: number) => number,
): (left: number, right: number) => number {
  const lefts = new Int32Array(2 ** CACHE_BITS).fill(-1);
  const rights = new Int32Array(2 ** CACHE_BITS);
  const answers = new Int32Array(2 ** CACHE_BITS);
  return (left, right) => {
    const place = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> (32 - CACHE_BITS);
    if (lefts[place] !== left || rights[place] !== right) {
      lefts[place] = left;
      rights[place] = right;
      answers[place] = find(left, right);
    }
    return answers[place]!;
  };
}

/** A binary heap of numbers, the smallest on top. */
class MinHeap {
  size = 0;
  private readonly keys: Float64Array;

  constructor(capacity: number) {
    this.keys = new Float64Array(capacity);
  }

  push(key: number): void {
    const keys = this.keys;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number {
    const keys = this.keys;
    const top = keys[0]!;
    const last = keys[--this.size]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= last) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = last;
    return top;
  }
}
