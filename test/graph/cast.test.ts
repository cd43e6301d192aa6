/** Casts to float32 against NumPy's (scripts/fixtures/casts.py), piece by piece; those to float16 against these. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { InputError } from '../../src/errors.js';
import { float16ToNumber } from '../../src/graph/cast.js';
import { type DType, itemBytes } from '../../src/graph/dtype.js';
import { castTensor, collect, memoryTensor } from '../../src/graph/transform.js';

const recorded = JSON.parse(
  readFileSync(new URL('../../fixtures/graph/casts.json', import.meta.url), 'utf8'),
) as {
  all: Record<'float16' | 'bfloat16', string>;
  float64: [from: string, to: string][];
};

/** All elements in `bytes` as float32, the pieces cut as given. */
async function widened(dtype: DType, ...pieces: readonly Uint8Array[]): Promise<Uint8Array> {
  const count = pieces.reduce((sum, piece) => sum + piece.length, 0) / itemBytes(dtype);
  const source = {
    dtype,
    shape: [count],
    async *read() {
      yield* pieces;
    },
  };
  return collect(castTensor(source, 'float32'));
}

const CANONICAL_NAN = 0x7fc00000;

/** The float32s' bits; a NaN's are the canonical one's. */
function bitsOf(bytes: Uint8Array): Uint32Array {
  const bits = new Uint32Array(bytes.slice().buffer);
  const values = new Float32Array(bits.buffer);
  for (const [i, value] of values.entries()) if (Number.isNaN(value)) bits[i] = CANONICAL_NAN;
  return bits;
}

describe('casts to float32', () => {
  for (const dtype of ['float16', 'bfloat16'] as const) {
    it(`give every ${dtype} as NumPy does, subnormals and infinities included`, async () => {
      const all = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);
      const bits = bitsOf(await widened(dtype, new Uint8Array(all.buffer)));
      const hash = createHash('sha256').update(new Uint8Array(bits.buffer)).digest('hex');
      assert.equal(hash, recorded.all[dtype]);
    });
  }

  it('round every float64 as NumPy does', async () => {
    const from = BigUint64Array.from(recorded.float64, ([bits]) => BigInt(`0x${bits}`));
    const bits = bitsOf(await widened('float64', new Uint8Array(from.buffer)));
    const found = recorded.float64.map(([bits64], i) => [bits64, bits[i]!.toString(16).padStart(8, '0')]);
    assert.deepEqual(found, recorded.float64);
  });

  it('do not mind where in memory a piece begins', async () => {
    for (const [dtype, bytes] of [
      ['float16', [0x00, 0x3c, 0x00, 0xc0]],
      ['bfloat16', [0x80, 0x3f, 0x00, 0xc0]],
      ['float64', [0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0]],
    ] as const) {
      const piece = Uint8Array.from([9, ...bytes]).subarray(1);
      assert.equal(piece.byteOffset, 1);
      assert.deepEqual([...new Float32Array((await widened(dtype, piece)).buffer)], [1, -2], dtype);
    }
  });

  it('take pieces of any length, one after another', async () => {
    const all = Uint16Array.from({ length: 16 }, (_, i) => 0x3f80 + i);
    const pieces = [0, 1, 6, 8].map((start, i) => new Uint8Array(all.slice(start, [1, 6, 8, 16][i]).buffer));
    const expected = Array.from(all, (_, i) => 1 + i / 128);
    assert.deepEqual([...new Float32Array((await widened('bfloat16', ...pieces)).buffer)], expected);
  });

  it('are not offered between other dtypes', () => {
    const of = (dtype: DType) => memoryTensor(dtype, [1], new Uint8Array(itemBytes(dtype)));
    assert.throws(() => castTensor(of('float32'), 'bfloat16'), /cannot cast float32 to bfloat16/);
    assert.throws(() => castTensor(of('int8'), 'float16'), /cannot cast int8 to float16/);
    assert.throws(() => castTensor(of('int8'), 'float32'), /cannot cast int8 to float32/);
  });

  it('leave a float32 tensor alone, and the shape of any other', () => {
    const tensor = memoryTensor('float32', [1], new Uint8Array([1, 2, 3, 4]));
    assert.equal(castTensor(tensor, 'float32'), tensor);
    const wide = castTensor(memoryTensor('bfloat16', [2, 1], new Uint8Array(4)), 'float32');
    assert.deepEqual([wide.dtype, wide.shape], ['float32', [2, 1]]);
  });

  it('know half precision', () => {
    assert.equal(float16ToNumber(0x0001), 2 ** -24);
    assert.equal(float16ToNumber(0x7bff), 65504);
    assert.equal(float16ToNumber(0xfc00), Number.NEGATIVE_INFINITY);
    assert.ok(Object.is(float16ToNumber(0x8000), -0));
    assert.ok(Number.isNaN(float16ToNumber(0x7e00)));
  });
});

/** The bits of what float64 numbers become as float16, by way of `dtype`, which must hold them. */
async function halves(dtype: 'float32' | 'float64', numbers: readonly number[]): Promise<Uint16Array> {
  const stored = dtype === 'float32' ? Float32Array.from(numbers) : Float64Array.from(numbers);
  for (const [i, value] of stored.entries())
    assert.ok(Object.is(value, numbers[i]), `${numbers[i]} is no ${dtype}`);
  const tensor = memoryTensor(dtype, [stored.length], new Uint8Array(stored.buffer));
  return new Uint16Array((await collect(castTensor(tensor, 'float16'))).buffer);
}

/** The float32 or float64 after `value > 0`, in its own bits. */
function after(dtype: 'float32' | 'float64', value: number, steps: 1 | -1): number {
  if (dtype === 'float64') {
    const bits = new BigInt64Array(Float64Array.of(value).buffer);
    bits[0] = bits[0]! + BigInt(steps);
    return new Float64Array(bits.buffer)[0]!;
  }
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0] = bits[0]! + steps;
  return new Float32Array(bits.buffer)[0]!;
}

describe('casts to float16', () => {
  const finite = Array.from({ length: 0x7c00 }, (_, bits) => bits);

  for (const dtype of ['float32', 'float64'] as const) {
    it(`give every float16 back from ${dtype}`, async () => {
      const all = [...finite, 0x7c00].flatMap((bits) => [bits, bits | 0x8000]);
      const found = await halves(dtype, all.map(float16ToNumber));
      assert.deepEqual([...found], all);
      assert.equal((await halves(dtype, [Number.NaN]))[0]! & 0x7e00, 0x7e00);
    });

    // A midpoint of two neighbours goes to the even one, and the numbers beside it to the nearer one. That rules out rounding
    // twice, too: the float64 next to a midpoint is that midpoint as a float32.
    it(`round ${dtype} to the nearest, ties to even`, async () => {
      const from: number[] = [];
      const to: number[] = [];
      for (const low of finite.slice(0, -1)) {
        const midpoint = (float16ToNumber(low) + float16ToNumber(low + 1)) / 2;
        from.push(after(dtype, midpoint, -1), midpoint, after(dtype, midpoint, 1), -midpoint);
        to.push(low, low + (low & 1), low + 1, (low + (low & 1)) | 0x8000);
      }
      assert.deepEqual(await halves(dtype, from), Uint16Array.from(to));
    });

    it(`refuse a finite ${dtype} beyond its range`, async () => {
      assert.deepEqual([...(await halves(dtype, [after(dtype, 65520, -1)]))], [0x7bff]);
      for (const value of [65520, -65520, 1e10, 2 ** 127]) {
        await assert.rejects(halves(dtype, [1, Math.fround(value)]), (error: Error) => {
          assert.ok(error instanceof InputError);
          assert.match(error.message, /^holds -?[\d.e+]+; float16 ends at 65504\.$/);
          return true;
        });
      }
    });
  }

  it('vanish below half the smallest', async () => {
    assert.deepEqual([...(await halves('float32', [2 ** -149, -(2 ** -126), 2 ** -26]))], [0, 0x8000, 0]);
    assert.deepEqual([...(await halves('float64', [2 ** -1074, -(2 ** -200), 2 ** -26]))], [0, 0x8000, 0]);
  });

  it('give every bfloat16 as its float32', async () => {
    const all = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);
    const wide = new Float32Array((await widened('bfloat16', new Uint8Array(all.buffer))).buffer);
    const fit = all.filter((_, bits) => !(Math.abs(wide[bits]!) >= 65520) || wide[bits]! ** 2 === Infinity);
    const tensor = memoryTensor('bfloat16', [fit.length], new Uint8Array(fit.buffer));
    const found = new Uint16Array((await collect(castTensor(tensor, 'float16'))).buffer);
    const expected = memoryTensor(
      'float32',
      [fit.length],
      new Uint8Array(Float32Array.from(fit, (bits) => wide[bits]!).buffer),
    );
    assert.deepEqual(found, new Uint16Array((await collect(castTensor(expected, 'float16'))).buffer));
  });
});
