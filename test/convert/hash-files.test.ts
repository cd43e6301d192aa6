/** Hashing in a thread: what it gives, and how it stops. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { hashFiles } from '../../src/convert/hash-files.js';
import { temporaryFolder } from '../support/goldens.js';

describe('hashing files', () => {
  it('gives size and hash of each in order', async () => {
    const folder = await temporaryFolder();
    const contents = ['', 'abc', 'x'.repeat(5 << 20)];
    const paths = contents.map((_, i) => join(folder, String(i)));
    for (const [i, path] of paths.entries()) await writeFile(path, contents[i]!);
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    const expected = contents.map((text) => ({ bytes: text.length, sha256: sha256(text) }));
    assert.deepEqual(await hashFiles(paths).result, expected);
  });

  it("ends with the signal's reason, before and on the way", async () => {
    const path = join(await temporaryFolder(), 'large');
    await writeFile(path, '');
    await truncate(path, 2 ** 40); // sparse: reading it to the end takes many minutes
    const reason = new Error('enough');
    assert.throws(() => hashFiles([path], AbortSignal.abort(reason)), reason);
    const controller = new AbortController();
    const { result } = hashFiles([path], controller.signal);
    setTimeout(() => controller.abort(reason), 50);
    await assert.rejects(result, reason);
  });

  it('says which file cannot be read', async () => {
    await assert.rejects(hashFiles(['/no/such/file']).result, /ENOENT.*\/no\/such\/file/);
  });
});
