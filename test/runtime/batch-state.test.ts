/** The state of a batch against a naive model of it, which remembers every token that every row has seen. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StateTensor } from '../../src/models/state-tensor.js';
import { BatchState } from '../../src/runtime/batch-state.js';
import { createRandom, type Random } from '../../src/runtime/random.js';

const HEADS = 2;
const HEAD = 2;
const CARRIED = 3;

/** A carried tensor, and one with so many slots a head: a ring of that many, or a cache that was made for as many and may grow beyond. */
function tensorsOf(slots: number, kind: 'ring' | 'cache' = 'ring', heads = HEADS): StateTensor[] {
  return [
    {
      input: 'past.0.h',
      output: 'present.0.h',
      kind: 'carried',
      dtype: 'float32',
      shape: [CARRIED],
      axes: ['width'],
    },
    {
      input: 'past.1.key',
      output: 'present.1.key',
      kind,
      dtype: 'float32',
      shape: [heads, slots, HEAD],
      axes: ['kv_heads', kind === 'ring' ? 'window' : 'context', 'head_dim'],
    },
  ];
}

/** One row as it should be: the last carried state, and what each token left in each head's slots, in the order of positions. */
interface Row {
  carried: number[];
  /** `[tokens][heads][HEAD]`. */
  tokens: number[][][];
}

const EMPTY: Row = { carried: [0, 0, 0], tokens: [] };

/** Feeds `lengths[i]` tokens of random content to rows from `first` on, as a graph would, to both. */
function feed(state: BatchState, rows: Row[], random: Random, first: number, lengths: number[]): void {
  const time = Math.max(...lengths);
  const number = () => Math.fround(random());
  const carried = lengths.map((length, i) =>
    length === 0 ? rows[first + i]!.carried : [number(), number(), number()],
  );
  const heads = Array.from({ length: HEADS }, (_, head) => head);
  const fresh = lengths.map(() => Array.from({ length: time }, () => heads.map(() => [number(), number()])));
  const byHead = fresh.flatMap((tokens) => heads.flatMap((head) => tokens.map((token) => token[head]!)));
  state.update(first, lengths, time, (name) =>
    Float32Array.from(name === 'present.0.h' ? carried.flat() : byHead.flat()),
  );
  for (const [i, length] of lengths.entries()) {
    const { tokens } = rows[first + i]!;
    rows[first + i] = { carried: carried[i]!, tokens: [...tokens, ...fresh[i]!.slice(0, length)] };
  }
}

/** What slot `slot` holds: the newest token whose position is `slot` modulo the window. */
function slotOf({ tokens }: Row, slot: number, window: number): number[][] | undefined {
  const positions = [...tokens.keys()].filter((position) => position % window === slot);
  return positions.length > 0 ? tokens[positions.at(-1)!] : undefined;
}

/** Checks the graph's inputs for some rows: everything that the graph will look at is right. */
function check(state: BatchState, rows: readonly Row[], first: number, count: number, window: number): void {
  const inputs = state.inputs(first, count);
  assert.deepEqual(
    inputs.map(({ name }) => name),
    ['past.0.h', 'past.1.key'],
  );
  const [carried, ring] = inputs as [(typeof inputs)[0], (typeof inputs)[0]];
  assert.deepEqual(carried.dims, [count, CARRIED]);
  assert.deepEqual(
    [...carried.data],
    rows.slice(first, first + count).flatMap((row) => row.carried),
  );
  const [batch, heads, slots, size] = ring.dims;
  assert.deepEqual([batch, heads, size], [count, HEADS, HEAD]);
  assert.ok(slots! >= 1 && slots! <= window, `${slots} slots`);
  assert.equal(ring.data.length, count * HEADS * slots! * HEAD);
  for (let i = 0; i < count; i++) {
    const row = rows[first + i]!;
    assert.equal(state.numTokens(first + i), row.tokens.length);
    assert.ok(
      slots! >= Math.min(row.tokens.length, window),
      `only ${slots} slots for ${row.tokens.length} tokens`,
    );
    for (let slot = 0; slot < slots!; slot++) {
      const found = Array.from({ length: HEADS }, (_, head) => {
        const at = ((i * HEADS + head) * slots! + slot) * HEAD;
        return [...ring.data.subarray(at, at + HEAD)];
      });
      const expected = slotOf(row, slot, window);
      if (expected) assert.deepEqual(found, expected, `row ${first + i}, slot ${slot}`);
    }
  }
}

describe('a batch of states', () => {
  for (const limit of [1, 5, 16, 64, 100, 300, 'none'] as const) {
    it(`with a limit of ${limit} slots is what a naive model says, whatever is done to it`, () => {
      const window = limit === 'none' ? Number.POSITIVE_INFINITY : limit;
      const longest = limit === 'none' ? 300 : 2 * limit + 1;
      const random = createRandom(99, longest);
      const pick = (count: number) => Math.floor(random() * count);
      // A cache goes on beyond what it was made for.
      const state = new BatchState(limit === 'none' ? tensorsOf(50, 'cache') : tensorsOf(limit));
      const rows: Row[] = [];
      for (let step = 0; step < 120; step++) {
        const what = rows.length === 0 ? 0 : pick(7);
        if (what === 0 && rows.length < 6) {
          rows.push({ ...EMPTY });
          state.reserve(rows.length);
        } else if (what === 1) {
          const row = pick(rows.length);
          state.clear(row);
          rows[row] = { ...EMPTY };
        } else if (what === 2) {
          const [from, to] = [pick(rows.length), pick(rows.length)];
          state.copy(from, to);
          rows[to] = rows[from]!;
        } else if (what === 3) {
          const [from, to] = [pick(rows.length), pick(rows.length)];
          const copy = state.export(from);
          state.clear(from);
          rows[to] = rows[from]!;
          if (from !== to) rows[from] = { ...EMPTY };
          state.import(to, copy);
        } else {
          const first = pick(rows.length);
          const count = 1 + pick(rows.length - first);
          const most = [1, 3, 40, longest][pick(4)]!;
          const lengths = Array.from({ length: count }, () => pick(most + 1));
          if (Math.max(...lengths) > 0) feed(state, rows, random, first, lengths);
        }
        const first = pick(rows.length);
        check(state, rows, first, 1 + pick(rows.length - first), window);
      }
    });
  }

  it('copies what it exports', () => {
    const state = new BatchState(tensorsOf(4));
    const rows = [{ ...EMPTY }];
    const random = createRandom(1);
    state.reserve(1);
    feed(state, rows, random, 0, [3]);
    const copy = state.export(0);
    const before = [...copy.tensors.get('past.1.key')!];
    const byHead = [0, 1].flatMap((head) => rows[0]!.tokens.flatMap((token) => token[head]!));
    assert.deepEqual([copy.numTokens, before], [3, byHead]);
    feed(state, rows, random, 0, [2]);
    assert.deepEqual([...copy.tensors.get('past.1.key')!], before);
    assert.equal(state.export(0).tensors.get('past.1.key')!.length, HEADS * 4 * HEAD);
  });

  it('grows by doubling, then in blocks of 256 slots, and a ring up to its window', () => {
    const state = new BatchState(tensorsOf(2000));
    const rows = [{ ...EMPTY }, { ...EMPTY }];
    const random = createRandom(2);
    state.reserve(2);
    const bytesOf = (slots: number) => 2 * 4 * (CARRIED + HEADS * slots * HEAD);
    const slotsAfter = [
      [64, 64],
      [1, 128],
      [64, 256],
      [200, 512],
      [300, 768],
      [3000, 2000],
    ] as const;
    for (const [tokens, slots] of slotsAfter) {
      feed(state, rows, random, 0, [1, tokens]);
      assert.equal(state.bytes, bytesOf(slots), `${tokens} more tokens`);
    }
    check(state, rows, 0, 2, 2000);
  });

  it('says what it will allocate before it does', () => {
    const state = new BatchState(tensorsOf(50, 'cache'));
    const random = createRandom(4);
    state.reserve(2);
    const rows = [{ ...EMPTY }, { ...EMPTY }];
    assert.equal(state.growth(2, 64), 0);
    const before = state.bytes;
    const said = state.growth(2, 1000);
    feed(state, rows, random, 0, [1000, 1]);
    assert.ok(state.bytes > 2 * before);
    // The old arrays are there until they are freed, all of them where they are small.
    assert.equal(said, state.bytes - before + before);
    assert.equal(state.capacityFor(3), 4);
    assert.equal(state.growth(3, 1), 2 * state.bytes);
  });

  it('feeds few slots where nothing has been seen, and zeros', () => {
    const state = new BatchState(tensorsOf(16));
    state.reserve(3);
    const [carried, ring] = state.inputs(0, 3);
    assert.deepEqual(ring!.dims, [3, HEADS, 16, HEAD]);
    assert.ok([...carried!.data, ...ring!.data].every((value) => value === 0));
  });

  it('feeds a single row of one head the slots that it has used, in whole sixty-fours', () => {
    const state = new BatchState(tensorsOf(400, 'ring', 1));
    state.reserve(2);
    const output = (name: string) => new Float32Array(name === 'present.0.h' ? 2 * CARRIED : 2 * 190 * HEAD);
    state.update(0, [190, 7], 190, output);
    assert.deepEqual(state.inputs(1, 1)[1]!.dims, [1, 1, 64, HEAD]);
    assert.deepEqual(state.inputs(0, 1)[1]!.dims, [1, 1, 192, HEAD]);
  });
});
