import assert from 'node:assert/strict';
import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DownloadProgress } from '../../src/hub/transfer.js';
import { COMMIT, flaxRepository, large, repository, shardedRepository, small } from './sample.js';
import { scene } from './scene.js';

const TINY = { 'acme/tiny': shardedRepository() };
const REVISION_REQUEST = /^hub GET \/api\/models\/acme\/tiny\/revision\/main\?/;
const TREE_REQUEST = new RegExp(`^hub GET /api/models/acme/tiny/tree/${COMMIT}\\?`);

test('the first run asks for the commit, its files and each chosen file; the second for the commit alone', () =>
  scene(TINY, async ({ hub, cacheDir, download }) => {
    const first = await download('hf:acme/tiny');
    const [revision = '', tree = '', ...files] = hub.takeRequests();
    assert.match(revision, REVISION_REQUEST);
    assert.match(tree, TREE_REQUEST);
    const expected = first.files.map((path) => `hub GET /acme/tiny/resolve/${COMMIT}/${path}`);
    const fromCdn = first.files.filter((path) => TINY['acme/tiny'].files[path]!.lfs);
    assert.deepEqual(
      files.toSorted(),
      [...expected, ...fromCdn.map((path) => `cdn GET /acme/tiny/${path}`)].toSorted(),
    );
    assert.equal(fromCdn.length, 4);

    assert.equal(first.commit, COMMIT);
    assert.equal(first.path, join(cacheDir, 'models--acme--tiny', 'snapshots', COMMIT));
    for (const path of first.files) {
      assert.deepEqual(await readFile(join(first.path, path)), TINY['acme/tiny'].files[path]!.content);
    }

    assert.deepEqual(await download('hf:acme/tiny'), first);
    const again = hub.takeRequests();
    assert.equal(again.length, 1);
    assert.match(again[0]!, REVISION_REQUEST);
    assert.deepEqual(await download(`hf:acme/tiny@${COMMIT}`), first);
    assert.deepEqual(hub.takeRequests(), [], 'a full commit cannot have changed');
  }));

test('the listing comes in pages', () =>
  scene(TINY, async ({ hub, download }) => {
    hub.pageSize = 5;
    const { files } = await download('hf:acme/tiny');
    assert.equal(files.length, 9);
    assert.equal(hub.takeRequests().filter((request) => request.includes('/tree/')).length, 3);
  }));

test('a branch that moves: only what changed is downloaded, and the older commit stays', () =>
  scene({ ...TINY }, async ({ hub, download }) => {
    const older = await download('hf:acme/tiny');
    hub.takeRequests();
    const commit = 'c0ffee0000000000000000000000000000000002';
    const { files } = TINY['acme/tiny'];
    hub.repositories['acme/tiny'] = {
      commit,
      refs: { main: commit },
      files: { ...files, 'config.json': small('{"new": 1}') },
    };
    const newer = await download('hf:acme/tiny');
    assert.deepEqual(
      hub.takeRequests().filter((request) => request.includes('/resolve/')),
      [`hub GET /acme/tiny/resolve/${commit}/config.json`],
    );
    assert.equal(await readFile(join(newer.path, 'config.json'), 'utf8'), '{"new": 1}');
    assert.equal((await download('hf:acme/tiny', { offline: true })).commit, commit);
    assert.deepEqual(await download(`hf:acme/tiny@${COMMIT}`, { offline: true }), older);
  }));

test('a path in the reference is where the result lies', () =>
  scene({ 'acme/tiny-flax': flaxRepository() }, async ({ download }) => {
    const { path, files } = await download('hf:acme/tiny-flax@main/2b');
    assert.equal(path.endsWith(join(COMMIT, '2b')), true);
    await access(join(path, 'ocdbt.process_0', 'd', '4567cdef'));
    await access(join(path, '..', 'tokenizer.model'));
    assert.equal((await readFile(join(path, 'commit_success.txt'))).length, 0, 'empty files are made too');
    assert.equal(files.includes('README.md'), false);
  }));

test('names with characters that mean something in a URL', () =>
  scene(
    {
      'acme/odd': repository(
        { '2b #1?/модель 100%.safetensors': large('odd', 1000) },
        { refs: { 'a/b': COMMIT } },
      ),
    },
    async ({ download }) => {
      const { path } = await download('hf:acme/odd@a%2Fb');
      assert.equal((await readFile(join(path, '2b #1?', 'модель 100%.safetensors'))).length, 1000);
      await download('hf:acme/odd@a%2Fb', { offline: true });
    },
  ));

test('progress counts bytes of all files, grows, and ends full', () =>
  scene(TINY, async ({ download }) => {
    const seen: DownloadProgress[] = [];
    const { files } = await download('hf:acme/tiny', { onProgress: (progress) => seen.push(progress) });
    const total = files.reduce((sum, path) => sum + TINY['acme/tiny'].files[path]!.content.length, 0);
    assert.equal(
      seen.every(({ totalBytes }) => totalBytes === total),
      true,
    );
    assert.equal(
      seen.every(({ receivedBytes }, at) => at === 0 || receivedBytes >= seen[at - 1]!.receivedBytes),
      true,
    );
    const { receivedBytes, filesDone, files: fileCount } = seen.at(-1)!;
    assert.deepEqual(
      { receivedBytes, filesDone, fileCount },
      { receivedBytes: total, filesDone: 9, fileCount: 9 },
    );
  }));

test('offline uses a complete cache, asks nobody, and says what is missing', () =>
  scene(TINY, async ({ hub, download }) => {
    await assert.rejects(download('hf:acme/tiny', { offline: true }), {
      name: 'UnavailableError',
      message: /is not in the cache/,
    });
    const online = await download('hf:acme/tiny');
    hub.takeRequests();
    assert.deepEqual(await download('hf:acme/tiny', { offline: true }), online);
    assert.deepEqual(await download('hf:acme/tiny', { env: { HF_HUB_OFFLINE: '1' } }), online);
    await assert.rejects(download('hf:acme/tiny@other', { offline: true }), { name: 'UnavailableError' });

    const shard = join(online.path, 'model-00001-of-00002.safetensors');
    await rm(shard);
    await writeFile(shard, 'short');
    await assert.rejects(download('hf:acme/tiny', { offline: true }), {
      message: /holds only a part: model-00001/,
    });
    assert.deepEqual(hub.takeRequests(), []);
  }));

test('a download that the disk has no room for does not begin', () => {
  const entry = {
    type: 'file',
    path: 'model.safetensors',
    size: 2 ** 52,
    oid: 'a'.repeat(40),
    lfs: { oid: 'b'.repeat(64), size: 2 ** 52, pointerSize: 130 },
  };
  return scene(
    { 'acme/huge': repository({ 'config.json': small('{}') }, { extraEntries: [entry] }) },
    async ({ hub, download }) => {
      await assert.rejects(download('hf:acme/huge'), {
        name: 'UnavailableError',
        message: /needs 4096\.0 TiB, and the disk of .* has .* left/,
        hint: /HF_HUB_CACHE/,
      });
      assert.equal(
        hub.takeRequests().some((request) => request.includes('/resolve/')),
        false,
      );
    },
  );
});
