/** The reading loop is what its text says and leaves nothing out, and a bandwidth comes of it. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import wabt from 'wabt';
import { measureBandwidth } from '../../src/bench/bandwidth.js';
import { READ_MEMORY } from '../../src/bench/read-memory.js';

const TEXT = new URL('../../src/bench/read-memory.wat', import.meta.url);

describe('reading memory', () => {
  it('is compiled from its text', async () => {
    const { parseWat } = await wabt();
    const { buffer } = parseWat('read-memory.wat', await readFile(TEXT, 'utf8')).toBinary({});
    assert.equal(Buffer.from(READ_MEMORY).toString('base64'), Buffer.from(buffer).toString('base64'));
  });

  it('reads every byte once', () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(READ_MEMORY), { env: { memory } });
    const read = exports.read as (first: number, second: number, end: number) => bigint;
    const words = new BigUint64Array(memory.buffer);
    for (let i = 0; i < words.length; i++) words[i] = BigInt(i) ** 3n + 7n;
    const total = words.reduce((sum, word) => sum + word, 0n);
    assert.equal(read(0, 32_768, 32_768), total);
  });

  it('gives a bandwidth', async () => {
    const bandwidth = await measureBandwidth(2);
    // From a machine of the eighties to far more than any has.
    assert.ok(bandwidth > 0.01 && bandwidth < 100_000, `${bandwidth} GB/s`);
  });
});
