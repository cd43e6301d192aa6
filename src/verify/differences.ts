/** How far apart two results are. */

/** Remembers the largest of many differences, and where it was. */
export class Worst {
  value = 0;
  #where = '';

  /** A difference that is no number counts as infinite. */
  add(difference: number, where: string): void {
    const size = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    if (size <= this.value) return;
    this.value = size;
    this.#where = where;
  }

  /** `text`, and where the worst difference was, if there was any. */
  describe(text: string): string {
    if (this.#where === '') return text;
    return `${text}; ${Number.isFinite(this.value) ? 'worst' : 'nothing to compare'} ${this.#where}`;
  }
}

/** The largest of `|a - b - shift|`, element by element; infinite where the lengths differ or one holds NaN. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>, shift = 0): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]! - shift);
    if (Number.isNaN(difference)) return Number.POSITIVE_INFINITY;
    if (difference > largest) largest = difference;
  }
  return largest;
}
