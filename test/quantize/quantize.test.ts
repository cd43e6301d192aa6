/** Quantizing in threads: the same whatever their number, clear refusals, and nothing left behind. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { InputError } from '../../src/errors.js';
import type { LazyTensor } from '../../src/graph/lazy-tensor.js';
import { collect, swapAxes } from '../../src/graph/transform.js';
import { quantizeBlockRows, quantizeBlocks } from '../../src/quantize/blocks.js';
import { chooseInt8Form } from '../../src/quantize/choose.js';
import { quantizeColumns, quantizeRows } from '../../src/quantize/int8.js';
import { enterPool, leavePool, releasePool } from '../../src/quantize/pool.js';
import { gaussian, tensorOf } from './matrices.js';

after(releasePool);

/** More than the bands that are under way at once, the last one not full. */
const [rows, columns] = [3001, 2048];

/** A matrix of several bands in float16, made from a row that is repeated, turned. */
function largeTensor(): LazyTensor {
  const pattern = new Uint8Array(
    Uint16Array.from({ length: columns }, (_, i) => 0x2c00 + ((i * 7919) % 2048)).buffer,
  );
  return {
    dtype: 'float16',
    shape: [rows, columns],
    async *read() {
      for (let row = 0; row < rows; row++) {
        const start = 2 * ((row * 37) % columns);
        yield Buffer.concat([pattern.subarray(start), pattern.subarray(0, start)]);
      }
    },
  };
}

/** Everything that can become of a table and a kernel. */
async function everything(tensor: LazyTensor) {
  const form = { bits: 4, blockSize: 32 } as const;
  const results = [];
  for (const { values, scales, error } of [
    quantizeBlockRows(tensor, form),
    quantizeBlocks(tensor, form),
    quantizeRows(tensor),
  ]) {
    results.push(await collect(values), await collect(scales), error());
  }
  for (const kernel of [tensor, swapAxes(tensor)]) {
    const { groups, error } = quantizeColumns(kernel, 1);
    for (const { values, scales } of groups) results.push(await collect(values), await collect(scales));
    results.push(error());
  }
  return results;
}

describe('the threads', () => {
  it('give the same whatever their number', async () => {
    const results = [];
    for (const threads of [1, 2, 3]) {
      await releasePool();
      enterPool(threads);
      results.push(await everything(largeTensor()));
      leavePool();
    }
    await releasePool();
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  });

  it('keep bands apart: a band is what its rows are alone', async () => {
    const tensor = largeTensor();
    const all = await collect(quantizeRows(tensor).values);
    const bytes = await collect(tensor);
    for (const row of [0, 511, 512, 1024, 2999, 3000]) {
      const alone: LazyTensor = {
        dtype: 'float16',
        shape: [1, columns],
        async *read() {
          yield bytes.subarray(2 * row * columns, 2 * (row + 1) * columns);
        },
      };
      const found = all.subarray(row * columns, (row + 1) * columns);
      assert.deepEqual(await collect(quantizeRows(alone).values), found.slice(), `row ${row}`);
    }
  });

  it('serve several matrices at once', async () => {
    const kernels = [1, 2, 3].map((seed) => tensorOf(gaussian(64 * 96, seed), [64, 96]));
    const read = (kernel: LazyTensor) => collect(quantizeColumns(kernel, 1).groups[0]!.values);
    const single = [];
    for (const kernel of kernels) single.push(await read(kernel));
    assert.deepEqual(await Promise.all(kernels.map(read)), single);
  });

  it('are not ended while somebody uses them', async () => {
    const tensor = largeTensor();
    const pieces = [];
    for await (const piece of quantizeRows(tensor).values.read()) {
      await releasePool();
      pieces.push(piece.slice());
    }
    assert.deepEqual(new Uint8Array(Buffer.concat(pieces)), await collect(quantizeRows(tensor).values));
  });

  it('work on after a reader that left early', async () => {
    for await (const piece of quantizeRows(largeTensor()).values.read()) {
      assert.ok(piece.byteLength > 0);
      break;
    }
    const aborted = quantizeColumns(largeTensor(), 1).groups[0]!.values.read()[Symbol.asyncIterator]();
    await aborted.next();
    await aborted.return?.();
    assert.equal((await collect(quantizeRows(largeTensor()).values)).byteLength, rows * columns);
  });

  it('hold no process back, released or not', async () => {
    const source = new URL('../../src/quantize/int8.ts', import.meta.url).href;
    const script = `
      const { quantizeRows } = await import(${JSON.stringify(source)});
      const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
      const table = { dtype: 'float32', shape: [2, 2], read: async function* () { yield bytes; } };
      for await (const piece of quantizeRows(table).values.read()) console.log([...piece].join());
    `;
    const register = new URL('../support/register.js', import.meta.url).href;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', register, '--input-type=module', '--eval', script],
      { timeout: 60_000 },
    );
    assert.equal(stdout.trim(), '64,127,95,127');
  });
});

describe('what cannot be quantized', () => {
  const inputs = 40;
  const bad = (value: number) => {
    const weights = gaussian(inputs * 8);
    weights[21 * 8 + 5] = value; // input 21 of output 5
    return tensorOf(weights, [inputs, 8]);
  };

  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    it(`is ${value}, and where it is is told`, async () => {
      const message = `holds ${value} at [21, 5]; only finite numbers can be quantized.`;
      const isRefusal = (error: unknown) => error instanceof InputError && error.message === message;
      const form = { bits: 4, blockSize: 16 } as const;
      const kernel = bad(value);
      await assert.rejects(collect(quantizeColumns(kernel, 2).groups[1]!.scales), isRefusal);
      await assert.rejects(collect(quantizeBlocks(kernel, form).values), isRefusal);
      await assert.rejects(collect(quantizeBlockRows(kernel, form).scales), isRefusal);
      await assert.rejects(collect(quantizeRows(kernel).values), isRefusal);
      await assert.rejects(chooseInt8Form(kernel), isRefusal);
    });
  }

  it('is a tensor of integers, or one that is shorter than its shape', async () => {
    const integers: LazyTensor = { ...bad(0), dtype: 'int32' };
    await assert.rejects(collect(quantizeRows(integers).values), /cannot cast int32 to float32/);
    const short: LazyTensor = { ...bad(0), shape: [inputs, 9] };
    await assert.rejects(collect(quantizeRows(short).values), /ended before its shape was filled/);
    await assert.rejects(collect(quantizeColumns(short, 1).groups[0]!.values), /ended before its shape/);
    const long: LazyTensor = { ...bad(0), shape: [inputs, 7] };
    await assert.rejects(collect(quantizeRows(long).values), /more bytes than its shape/);
  });
});
