import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, lstat, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { repositoryCache, showInSnapshot } from '../../src/hub/cache.js';
import { checkedFile } from '../../src/hub/hub-file.js';
import { sha256 } from './fake-hub.js';
import { COMMIT, flaxRepository, noise, shardedRepository } from './sample.js';
import { scene } from './scene.js';

const REPOSITORIES = { 'acme/tiny': shardedRepository(), 'acme/tiny-flax': flaxRepository() };
const PYTHON_CACHE = new URL('../../fixtures/hub/python-cache.json', import.meta.url);

/** As scripts/hub/record_python_cache.py describes a cache. */
async function describe(cacheDir: string): Promise<Record<string, string>> {
  const entries = await readdir(cacheDir, { recursive: true, withFileTypes: true });
  const described = entries
    .filter((entry) => !entry.isDirectory())
    .map(async (entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      const content = entry.isSymbolicLink()
        ? `link ${await readlink(path)}`
        : `sha256 ${createHash('sha256')
            .update(await readFile(path))
            .digest('hex')}`;
      return [relative(cacheDir, path), content] as const;
    });
  return Object.fromEntries(await Promise.all(described));
}

test('the cache is, byte for byte, the one that huggingface_hub makes', () =>
  scene(REPOSITORIES, async ({ cacheDir, download }) => {
    await download('hf:acme/tiny');
    await download('hf:acme/tiny-flax');
    const { layout } = JSON.parse(await readFile(PYTHON_CACHE, 'utf8'));
    assert.deepEqual(await describe(cacheDir), layout);
  }));

test('a cache as older Python clients leave it, without a list of files, is used and completed', () =>
  scene(REPOSITORIES, async ({ hub, cacheDir, download }) => {
    await download('hf:acme/tiny');
    const folder = join(cacheDir, 'models--acme--tiny');
    await rm(join(folder, 'trees'), { recursive: true });
    await download('hf:acme/tiny', { offline: true });

    hub.takeRequests();
    const shard = join(folder, 'snapshots', COMMIT, 'model-00002-of-00002.safetensors');
    await rm(shard);
    await assert.rejects(download('hf:acme/tiny', { offline: true }), {
      name: 'UnavailableError',
      message: /holds only a part: model-00002-of-00002\.safetensors is missing/,
    });
    assert.deepEqual(hub.takeRequests(), [], 'offline asks nobody');

    await download('hf:acme/tiny');
    assert.equal(hub.takeRequests().length, 2, 'the commit and its files: the blob was there');
    assert.equal((await lstat(shard)).isSymbolicLink(), true);
  }));

test('a list of files that somebody tampered with is asked for again', () =>
  scene(REPOSITORIES, async ({ hub, cacheDir, download }) => {
    await download('hf:acme/tiny');
    const tree = join(cacheDir, 'models--acme--tiny', 'trees', `${COMMIT}.json`);
    const good = await readFile(tree, 'utf8');
    for (const bad of [
      good.replace('config.json', '../../config.json'),
      'not JSON',
      '{"format_version": 2}',
      '[]',
      'null',
    ]) {
      await writeFile(tree, bad);
      hub.takeRequests();
      await download('hf:acme/tiny');
      assert.equal(hub.takeRequests().length, 2);
      assert.equal(await readFile(tree, 'utf8'), good);
    }
  }));

test('where links cannot be made the snapshot gets copies', () =>
  scene({}, async ({ cacheDir }) => {
    const cache = repositoryCache(cacheDir, 'acme/tiny');
    const content = noise('content', 1000);
    const entry = {
      path: 'sub/config.json',
      size: 1000,
      blobId: 'a'.repeat(40),
      sha256: sha256(content),
      xetHash: undefined,
    };
    const file = checkedFile(entry, 'test');
    await mkdir(cache.blobs, { recursive: true });
    await writeFile(join(cache.blobs, sha256(content)), content);
    await showInSnapshot(cache, COMMIT, file, () =>
      Promise.reject(Object.assign(new Error('no'), { code: 'EPERM' })),
    );
    const shown = join(cache.folder, 'snapshots', COMMIT, 'sub', 'config.json');
    assert.equal((await lstat(shown)).isFile(), true);
    assert.deepEqual(await readFile(shown), content);
    assert.deepEqual(await readdir(join(shown, '..')), ['config.json'], 'and nothing else is left there');
  }));

test('content that is in the snapshot alone, as Python leaves it where it can make no links, is not downloaded again', () =>
  scene(REPOSITORIES, async ({ hub, download }) => {
    const { path } = await download('hf:acme/tiny');
    const name = 'model-00001-of-00002.safetensors';
    const blob = join(path, await readlink(join(path, name)));
    await rm(join(path, name));
    await copyFile(blob, join(path, name));
    await rm(blob);
    hub.takeRequests();
    await download('hf:acme/tiny');
    assert.equal(hub.takeRequests().length, 1);
  }));
