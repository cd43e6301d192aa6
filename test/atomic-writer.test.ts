/** Files that appear whole or not at all: what is replaced, and what never is. */

import assert from 'node:assert/strict';
import { lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { atomicWriter } from '../src/atomic-writer.js';
import { UsageError } from '../src/errors.js';
import { temporaryFolder } from './support/goldens.js';

describe('an atomic writer', () => {
  it('replaces the old file by all that was written, and not before', async () => {
    const path = join(await temporaryFolder(), 'file');
    await writeFile(path, 'old');
    const writer = await atomicWriter(path);
    await writer.write('text, ');
    await writer.write(Buffer.alloc(3 << 20, 'x'));
    assert.equal(await readFile(path, 'utf8'), 'old');
    await writer.commit();
    assert.equal(await readFile(path, 'utf8'), `text, ${'x'.repeat(3 << 20)}`);
    assert.deepEqual(await readdir(join(path, '..')), ['file']);
  });

  it('leaves the old file, and no other, when it is discarded', async () => {
    const path = join(await temporaryFolder(), 'file');
    await writeFile(path, 'old');
    const writer = await atomicWriter(path);
    await writer.write('new');
    await writer.discard();
    assert.equal(await readFile(path, 'utf8'), 'old');
    assert.deepEqual(await readdir(join(path, '..')), ['file']);
  });

  it('replaces the file that a symbolic link names, and keeps the link', async () => {
    const folder = await temporaryFolder();
    const [path, target] = [join(folder, 'link'), join(folder, 'below', 'file')];
    await mkdir(join(folder, 'below'));
    await writeFile(target, 'old');
    await symlink(target, path);
    const writer = await atomicWriter(path);
    await writer.write('new');
    await writer.commit();
    assert.ok((await lstat(path)).isSymbolicLink());
    assert.equal(await readFile(target, 'utf8'), 'new');
  });

  it('replaces no device, no folder and no link to nothing', async () => {
    const folder = await temporaryFolder();
    const link = join(folder, 'link');
    await symlink(join(folder, 'nothing'), link);
    for (const path of [devNull, folder, link]) {
      await assert.rejects(atomicWriter(path), (error) => {
        assert.ok(error instanceof UsageError);
        assert.equal(error.message, `${path} is not a regular file, and is not replaced.`);
        return true;
      });
    }
    assert.deepEqual(await readdir(folder), ['link']);
  });
});
