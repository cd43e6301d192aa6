/** The state of a batch of sequences, one row each: recurrent and convolution state, and rings of keys and values. */

import { elementCount } from '../graph/dtype.js';
import type { StateDType, StateTensor } from '../models/state-tensor.js';
import { STATE_ARRAYS, type StateArray } from './state-arrays.js';

/** Ring slots that are allocated at first; they double until the window is reached, so that short contexts stay small. */
const FIRST_SLOTS = 64;

/** One row's state, on its own. */
export interface RowState {
  /** Tokens that the state has seen. */
  readonly numTokens: number;
  /** By graph input name; a ring holds only its used slots, `[min(numTokens, window), …]`. */
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
  /** Elements of one row of a carried tensor, or of one slot of a ring. */
  readonly unit: number;
  /** `[rows, …]`, or `[rows, slots, …]` for a ring. */
  data: StateArray;
}

/** State for a growing number of rows. Zeros are the empty state, so a cleared row is a new sequence. */
export class BatchState {
  readonly #tensors: readonly Rows[];
  readonly #window: number;
  readonly #expectedRows: number;
  #capacity = 0;
  #slots: number;
  #numTokens: number[] = [];

  /** @param expectedRows room that is made at once when the first row is used. */
  constructor(tensors: readonly StateTensor[], expectedRows = 1) {
    this.#expectedRows = expectedRows;
    const windows = tensors.flatMap(({ kind, shape }) => (kind === 'ring' ? shape[0]! : []));
    this.#window = Math.max(1, ...windows);
    this.#slots = Math.min(FIRST_SLOTS, this.#window);
    this.#tensors = tensors.map((tensor) => ({
      tensor,
      unit: elementCount(tensor.kind === 'ring' ? tensor.shape.slice(1) : tensor.shape),
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

  /** Tokens that a row has seen. */
  numTokens(row: number): number {
    return this.#numTokens[row] ?? 0;
  }

  /** Makes room for at least this many rows; the new ones are empty. Room doubles, so that rows may come one by one. */
  reserve(wanted: number): void {
    if (wanted <= this.#capacity) return;
    const rows = Math.max(wanted, this.#capacity === 0 ? this.#expectedRows : 2 * this.#capacity);
    for (const each of this.#tensors) {
      const grown = zeros(each.tensor, rows * this.#rowLength(each));
      grown.set(each.data);
      each.data = grown;
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
      const used =
        each.tensor.kind === 'ring' ? Math.min(numTokens, each.tensor.shape[0]!) * each.unit : each.unit;
      return [each.tensor.input, this.#row(each, row).slice(0, used)];
    });
    return { numTokens, tensors: new Map(tensors) };
  }

  /** Replaces one row by a copy made earlier, of the same model. */
  import(row: number, state: RowState): void {
    this.clear(row);
    this.#growSlots(state.numTokens);
    for (const each of this.#tensors) {
      const data = state.tensors.get(each.tensor.input);
      if (data) this.#row(each, row).set(data);
    }
    this.#numTokens[row] = state.numTokens;
  }

  /**
   * The graph's state inputs for `count` rows from `first` on, without copying where that is possible. A ring is fed as short as it may be: a single row's used slots, or
   * the first ones where nothing is used; but always a multiple of {@link FIRST_SLOTS}, so that sums over the ring add up in the same order whatever its length.
   */
  inputs(first: number, count: number): StateInput[] {
    const longest = Math.max(0, ...Array.from({ length: count }, (_, i) => this.numTokens(first + i)));
    const used = Math.min(this.#slots, FIRST_SLOTS * Math.max(1, Math.ceil(longest / FIRST_SLOTS)));
    return this.#tensors.map((each) => {
      const { tensor, unit } = each;
      const length = this.#rowLength(each);
      const all = each.data.subarray(first * length, (first + count) * length);
      const { input: name, dtype } = tensor;
      if (tensor.kind !== 'ring') return { name, dtype, data: all, dims: [count, ...tensor.shape] };
      const dims = tensor.shape.slice(1);
      if (longest === 0) {
        return { name, dtype, data: zeros(tensor, count * used * unit), dims: [count, used, ...dims] };
      }
      if (count === 1) return { name, dtype, data: all.subarray(0, used * unit), dims: [1, used, ...dims] };
      return { name, dtype, data: all, dims: [count, this.#slots, ...dims] };
    });
  }

  /**
   * Takes the graph's state outputs in for `count` rows from `first` on, row i having consumed `lengths[i]` tokens of `time`.
   * @param output gives an output's elements by name: the whole new state, or a ring's new rows `[count, time, …]`.
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
      if (each.tensor.kind === 'carried') each.data.set(data, first * each.unit);
      else
        for (const [i, length] of lengths.entries()) this.#writeRing(each, first + i, data, i * time, length);
    }
    for (const [i, length] of lengths.entries())
      this.#numTokens[first + i] = this.numTokens(first + i) + length;
  }

  #writeRing(each: Rows, row: number, fresh: StateArray, firstFresh: number, length: number): void {
    const { unit } = each;
    const window = each.tensor.shape[0]!;
    const target = this.#row(each, row);
    const start = this.numTokens(row);
    for (let t = Math.max(0, length - window); t < length; t++) {
      const slot = (start + t) % window;
      const from = (firstFresh + t) * unit;
      target.set(fresh.subarray(from, from + unit), slot * unit);
    }
  }

  #growSlots(numTokens: number): void {
    const needed = Math.min(numTokens, this.#window);
    if (needed <= this.#slots) return;
    let slots = this.#slots;
    while (slots < needed) slots *= 2;
    slots = Math.min(slots, this.#window);
    for (const each of this.#tensors) {
      if (each.tensor.kind !== 'ring') continue;
      const grown = zeros(each.tensor, this.#capacity * slots * each.unit);
      for (let row = 0; row < this.#capacity; row++) grown.set(this.#row(each, row), row * slots * each.unit);
      each.data = grown;
    }
    this.#slots = slots;
  }

  #rowLength({ tensor, unit }: Rows): number {
    return tensor.kind === 'ring' ? this.#slots * unit : unit;
  }

  #row(each: Rows, row: number): StateArray {
    const length = this.#rowLength(each);
    return each.data.subarray(row * length, (row + 1) * length);
  }
}

function zeros({ dtype }: StateTensor, length: number): StateArray {
  return new STATE_ARRAYS[dtype](length);
}
