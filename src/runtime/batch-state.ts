/** The state of a batch of sequences, one row each: recurrent and convolution state, and keys and values in rings and caches. */

import { elementCount } from '../graph/dtype.js';
import { hasSlots, type StateDType, type StateTensor, slotLimit, usedShape } from '../models/state-tensor.js';
import { collectGarbage } from './garbage.js';
import { STATE_ARRAYS, type StateArray } from './state-arrays.js';

/** Slots that are allocated at first. */
const FIRST_SLOTS = 64;

/**
 * Slots double up to this many, and from then on come in blocks of it. Calls read all slots that are allocated, so there should be few to spare; and a block is
 * long enough that copying the others when it is added is a hundredth of what reading them costs until the next.
 */
const SLOT_BLOCK = 256;

/** Bytes of arrays that were given up, from which on they are freed at once. */
const GARBAGE = 2 ** 27;

/** One row's state, on its own. */
export interface RowState {
  /** Tokens that the state has seen. */
  readonly numTokens: number;
  /** By graph input name, in the shape that {@link usedShape} gives: without slots that are not used. */
  readonly tensors: ReadonlyMap<string, StateArray>;
}

/** One state input of the graph. */
export interface StateInput {
  readonly name: string;
  readonly dtype: StateDType;
  readonly data: StateArray;
  readonly dims: readonly number[];
}

/** All rows of one state tensor. */
interface Rows {
  readonly tensor: StateTensor;
  /** Key-value heads; 1 for a carried tensor. */
  readonly heads: number;
  /** Elements of one row of a carried tensor, or of one slot of one head. */
  readonly unit: number;
  /** `[rows, …]`, or `[rows, heads, slots, …]`. */
  data: StateArray;
}

/** State for a growing number of rows. Zeros are the empty state, so a cleared row is a new sequence. */
export class BatchState {
  readonly #tensors: readonly Rows[];
  /** The most slots that there can be. */
  readonly #limit: number;
  readonly #expectedRows: number;
  #capacity = 0;
  #slots: number;
  #numTokens: number[] = [];
  #garbage = 0;

  /** @param expectedRows room that is made at once when the first row is used. */
  constructor(tensors: readonly StateTensor[], expectedRows = 1) {
    this.#expectedRows = expectedRows;
    this.#limit = Math.max(1, ...tensors.filter(hasSlots).map(slotLimit));
    this.#slots = Math.min(FIRST_SLOTS, this.#limit);
    this.#tensors = tensors.map((tensor) => ({
      tensor,
      heads: hasSlots(tensor) ? tensor.shape[0]! : 1,
      unit: elementCount(hasSlots(tensor) ? tensor.shape.slice(2) : tensor.shape),
      data: zeros(tensor, 0),
    }));
  }

  get rows(): number {
    return this.#capacity;
  }

  /** Bytes that are allocated for all rows. */
  get bytes(): number {
    return this.#tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
  }

  /** How many slots there are to look at after so many tokens: a ring's have an end. */
  slotsAfter(numTokens: number): number {
    return Math.min(numTokens, this.#limit);
  }

  /** Tokens that a row has seen. */
  numTokens(row: number): number {
    return this.#numTokens[row] ?? 0;
  }

  /** Rows that there will be once so many are wanted. */
  capacityFor(rows: number): number {
    if (rows <= this.#capacity) return this.#capacity;
    return Math.max(rows, this.#capacity === 0 ? this.#expectedRows : 2 * this.#capacity);
  }

  /**
   * Bytes that are to be allocated, beyond those that are, before so many rows hold so many tokens: what they will take in the end, the old copy of the tensor that is
   * growing at the time, and copies that are not freed yet.
   */
  growth(rows: number, numTokens: number): number {
    const [capacity, slots] = [this.capacityFor(rows), this.#slotsFor(numTokens)];
    if (capacity === this.#capacity && slots === this.#slots) return 0;
    const bytes = this.#tensors.map(
      (each) => capacity * this.#rowLength(each, slots) * each.data.BYTES_PER_ELEMENT,
    );
    const copies = Math.min(this.bytes, GARBAGE + this.#largestBytes());
    return bytes.reduce((sum, each) => sum + each, 0) - this.bytes + copies;
  }

  /** Makes room for at least this many rows; the new ones are empty. Room doubles, so that rows may come one by one. */
  reserve(wanted: number): void {
    const rows = this.capacityFor(wanted);
    if (rows === this.#capacity) return;
    for (const each of this.#tensors) {
      const grown = zeros(each.tensor, rows * this.#rowLength(each));
      grown.set(each.data);
      this.#replace(each, grown);
    }
    while (this.#numTokens.length < rows) this.#numTokens.push(0);
    this.#capacity = rows;
  }

  /** Makes a row a new sequence. */
  clear(row: number): void {
    for (const each of this.#tensors) this.#row(each, row).fill(0);
    this.#numTokens[row] = 0;
  }

  /** Makes row `to` equal to row `from`. */
  copy(from: number, to: number): void {
    for (const each of this.#tensors) this.#row(each, to).set(this.#row(each, from));
    this.#numTokens[to] = this.numTokens(from);
  }

  /** A copy of one row. */
  export(row: number): RowState {
    const numTokens = this.numTokens(row);
    const tensors = this.#tensors.map((each): [string, StateArray] => {
      const shape = usedShape(each.tensor, numTokens);
      const used = zeros(each.tensor, elementCount(shape));
      const length = used.length / each.heads;
      for (let head = 0; head < each.heads; head++) {
        used.set(this.#head(each, row, head).subarray(0, length), head * length);
      }
      return [each.tensor.input, used];
    });
    return { numTokens, tensors: new Map(tensors) };
  }

  /** Replaces one row by a copy made earlier, of the same model. */
  import(row: number, state: RowState): void {
    this.clear(row);
    this.#growSlots(state.numTokens);
    for (const each of this.#tensors) {
      const used = state.tensors.get(each.tensor.input);
      if (!used) continue;
      const length = used.length / each.heads;
      for (let head = 0; head < each.heads; head++) {
        this.#head(each, row, head).set(used.subarray(head * length, (head + 1) * length));
      }
    }
    this.#numTokens[row] = state.numTokens;
  }

  /**
   * The graph's state inputs for `count` rows from `first` on, without copying where that is possible. Slots are fed as few as may be: those that are used of a single row
   * of one head, or the first ones where nothing is used; but always a multiple of {@link FIRST_SLOTS}, so that sums over them add up in the same order whatever their number.
   */
  inputs(first: number, count: number): StateInput[] {
    const longest = Math.max(0, ...Array.from({ length: count }, (_, i) => this.numTokens(first + i)));
    const used = Math.min(this.#slots, FIRST_SLOTS * Math.max(1, Math.ceil(longest / FIRST_SLOTS)));
    return this.#tensors.map((each) => {
      const { tensor, heads, unit } = each;
      const length = this.#rowLength(each);
      const all = each.data.subarray(first * length, (first + count) * length);
      const { input: name, dtype } = tensor;
      if (!hasSlots(tensor)) return { name, dtype, data: all, dims: [count, ...tensor.shape] };
      const dims = (slots: number) => [count, heads, slots, ...tensor.shape.slice(2)];
      if (longest === 0) {
        return { name, dtype, data: zeros(tensor, count * heads * used * unit), dims: dims(used) };
      }
      if (count * heads === 1) return { name, dtype, data: all.subarray(0, used * unit), dims: dims(used) };
      return { name, dtype, data: all, dims: dims(this.#slots) };
    });
  }

  /**
   * Takes the graph's state outputs in for `count` rows from `first` on, row i having consumed `lengths[i]` tokens of `time`.
   * @param output gives an output's elements by name: the whole new state, or new rows `[count, heads, time, …]`.
   */
  update(
    first: number,
    lengths: readonly number[],
    time: number,
    output: (name: string) => StateArray,
  ): void {
    const longest = Math.max(...lengths.map((length, i) => this.numTokens(first + i) + length));
    this.#growSlots(longest);
    for (const each of this.#tensors) {
      const data = output(each.tensor.output);
      if (!hasSlots(each.tensor)) {
        each.data.set(data, first * each.unit);
        continue;
      }
      for (const [i, length] of lengths.entries()) {
        for (let head = 0; head < each.heads; head++) {
          const from = (i * each.heads + head) * time * each.unit;
          this.#writeSlots(each, first + i, head, data.subarray(from, from + length * each.unit));
        }
      }
    }
    for (const [i, length] of lengths.entries())
      this.#numTokens[first + i] = this.numTokens(first + i) + length;
  }

  /** Writes one head's new rows, the last of which are all that a ring keeps, in runs that end where the ring does. */
  #writeSlots(each: Rows, row: number, head: number, fresh: StateArray): void {
    const { unit } = each;
    const target = this.#head(each, row, head);
    const limit = slotLimit(each.tensor);
    const count = fresh.length / unit;
    for (let t = Math.max(0, count - limit); t < count; ) {
      const slot = (this.numTokens(row) + t) % limit;
      const run = Math.min(count - t, limit - slot);
      target.set(fresh.subarray(t * unit, (t + run) * unit), slot * unit);
      t += run;
    }
  }

  #growSlots(numTokens: number): void {
    const slots = this.#slotsFor(numTokens);
    if (slots === this.#slots) return;
    for (const each of this.#tensors.filter(({ tensor }) => hasSlots(tensor))) {
      const grown = zeros(each.tensor, this.#capacity * this.#rowLength(each, slots));
      for (let i = 0; i < this.#capacity * each.heads; i++) {
        const [from, length] = [i * this.#slots * each.unit, this.#slots * each.unit];
        grown.set(each.data.subarray(from, from + length), i * slots * each.unit);
      }
      this.#replace(each, grown);
    }
    this.#slots = slots;
  }

  #replace(each: Rows, data: StateArray): void {
    this.#garbage += each.data.byteLength;
    each.data = data;
    if (this.#garbage < GARBAGE) return;
    collectGarbage();
    this.#garbage = 0;
  }

  #slotsFor(numTokens: number): number {
    const needed = this.slotsAfter(numTokens);
    let slots = this.#slots;
    while (slots < needed && slots < SLOT_BLOCK) slots *= 2;
    if (slots < needed) slots = SLOT_BLOCK * Math.ceil(needed / SLOT_BLOCK);
    return Math.min(slots, this.#limit);
  }

  #largestBytes(): number {
    return Math.max(0, ...this.#tensors.map(({ data }) => data.byteLength));
  }

  /** Elements of one row. */
  #rowLength({ tensor, heads, unit }: Rows, slots = this.#slots): number {
    return hasSlots(tensor) ? heads * slots * unit : unit;
  }

  #row(each: Rows, row: number): StateArray {
    const length = this.#rowLength(each);
    return each.data.subarray(row * length, (row + 1) * length);
  }

  #head(each: Rows, row: number, head: number): StateArray {
    const length = this.#rowLength(each) / each.heads;
    return this.#row(each, row).subarray(head * length, (head + 1) * length);
  }
}

function zeros({ dtype }: StateTensor, length: number): StateArray {
  return new STATE_ARRAYS[dtype](length);
}
