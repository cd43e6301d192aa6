/** The file that weights are written to: content, alignment, hash, and what happens when it cannot be. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DataWriter } from '../../src/graph/data-writer.js';
import { temporaryFolder } from '../support/goldens.js';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('the data writer', () => {
  it('writes what it is given, however it is cut, and hashes it', async () => {
    const path = join(await temporaryFolder(), 'data');
    const writer = new DataWriter(path);
    const parts: Buffer[] = [];
    // More than its slabs in flight hold, in pieces that end where they like; one buffer is used for all.
    const piece = Buffer.alloc(3_000_017);
    for (let i = 0; i < 14; i++) {
      piece.fill(i + 1);
      const part = piece.subarray(0, i === 5 ? 0 : piece.length - i * 1000);
      parts.push(Buffer.from(part));
      await writer.write(part);
    }
    const expected = Buffer.concat(parts);
    assert.equal(writer.position, expected.length);
    const written = await writer.finish();
    const stored = await readFile(path);
    assert.ok(stored.equals(expected));
    assert.deepEqual(written, { bytes: stored.length, sha256: sha256(stored) });
  });

  it('aligns with zeros, and not at all where it is aligned', async () => {
    const path = join(await temporaryFolder(), 'data');
    const writer = new DataWriter(path);
    await writer.align(4096);
    assert.equal(writer.position, 0);
    await writer.write(Buffer.from('abc'));
    await writer.align(16);
    assert.equal(writer.position, 16);
    await writer.align(16);
    assert.equal(writer.position, 16);
    await writer.write(Buffer.from('d'));
    await writer.finish();
    assert.equal((await readFile(path)).toString('latin1'), `abc${'\0'.repeat(13)}d`);
  });

  it('can write nothing', async () => {
    const path = join(await temporaryFolder(), 'data');
    assert.deepEqual(await new DataWriter(path).finish(), { bytes: 0, sha256: sha256(Buffer.alloc(0)) });
  });

  // Node's codes: by them a full disk is told from a bug.
  it('writes over no file', async () => {
    const path = join(await temporaryFolder(), 'data');
    await writeFile(path, 'mine');
    const writer = new DataWriter(path);
    await assert.rejects(
      async () => {
        await writer.write(Buffer.alloc(100));
        await writer.finish();
      },
      { code: 'EEXIST' },
    );
    await writer.abort();
    assert.equal(await readFile(path, 'utf8'), 'mine');
  });

  it('says so when the folder is not there, also after many bytes', async () => {
    const writer = new DataWriter(join(await temporaryFolder(), 'none', 'data'));
    await assert.rejects(
      async () => {
        for (let i = 0; i < 10; i++) await writer.write(Buffer.alloc(8 << 20));
        await writer.finish();
      },
      { code: 'ENOENT', message: /^cannot write .*none.data: ENOENT/ },
    );
    await writer.abort();
  });

  it('stops when it is aborted', async () => {
    const path = join(await temporaryFolder(), 'data');
    const writer = new DataWriter(path);
    await writer.write(Buffer.alloc(20 << 20));
    await writer.abort();
    await writer.abort();
  });
});
