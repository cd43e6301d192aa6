import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Gate, sha256 } from './fake-hub.js';
import { large, noise, repository, shardedRepository } from './sample.js';
import { type Scene, scene } from './scene.js';

const SIZE = 1_000_000;
const CONTENT = noise('weights', SIZE);
const ONE_FILE = { 'acme/one': repository({ 'model.safetensors': large('weights', SIZE) }) };
const CHILD = fileURLToPath(new URL('download-child.ts', import.meta.url));

async function assertWhole(path: string): Promise<void> {
  assert.equal(sha256(await readFile(join(path, 'model.safetensors'))), sha256(CONTENT));
}

/** Leaves `content` as an interrupted run would have. */
async function leavePartial({ cacheDir }: Scene, content: Buffer): Promise<void> {
  const blobs = join(cacheDir, 'models--acme--one', 'blobs');
  await mkdir(blobs, { recursive: true });
  await writeFile(join(blobs, `${sha256(CONTENT)}.incomplete`), content);
}

function cdnRequests({ hub }: Scene): string[] {
  return hub.takeRequests().filter((request) => request.startsWith('cdn'));
}

test('a connection that is cut is taken up where it broke', () =>
  scene(ONE_FILE, async (at) => {
    at.hub.faults['cdn:model.safetensors'] = [
      { kind: 'stall', after: 400_000 },
      { kind: 'cut', after: 100_000 },
    ];
    const { path } = await at.download('hf:acme/one', { retry: { stallMs: 300 } });
    await assertWhole(path);
    const [first, second, third = ''] = cdnRequests(at);
    assert.deepEqual(
      [first, second],
      ['cdn GET /acme/one/model.safetensors', 'cdn GET /acme/one/model.safetensors bytes=400000-'],
    );
    assert.match(third, /bytes=(4|500000)\d*-$/);
    assert.deepEqual(await at.unfinished('acme/one'), []);
  }));

test('an aborted download keeps what came, says so, and the next goes on from there', () =>
  scene(ONE_FILE, async (at) => {
    at.hub.faults['cdn:model.safetensors'] = [{ kind: 'stall', after: 600_000 }];
    const abort = new AbortController();
    const onProgress = ({ receivedBytes }: { receivedBytes: number }) => {
      if (receivedBytes === 600_000) abort.abort();
    };
    await assert.rejects(at.download('hf:acme/one', { signal: abort.signal, onProgress }), {
      name: 'InterruptedError',
      message: /^Interrupted: 585\.9 KiB of the 976\.6 KiB of acme\/one are kept in .*models--acme--one\.$/,
    });
    assert.deepEqual(await at.unfinished('acme/one'), [`${sha256(CONTENT)}.incomplete`]);
    await assert.rejects(at.download('hf:acme/one', { offline: true }), { name: 'UnavailableError' });

    at.hub.takeRequests();
    await assertWhole((await at.download('hf:acme/one')).path);
    assert.deepEqual(cdnRequests(at), ['cdn GET /acme/one/model.safetensors bytes=600000-']);
    assert.deepEqual(await at.unfinished('acme/one'), []);
  }));

test('an abort before the start, and one while waiting to try again, end it too', () =>
  scene(ONE_FILE, async (at) => {
    await assert.rejects(at.download('hf:acme/one', { signal: AbortSignal.abort() }), {
      name: 'InterruptedError',
    });
    assert.deepEqual(at.hub.takeRequests(), []);
    at.hub.faults.tree = [{ kind: 'status', status: 503, headers: { 'retry-after': '100' } }];
    const abort = new AbortController();
    const downloading = at.download('hf:acme/one', { signal: abort.signal });
    while (at.hub.requests.length < 2) await sleep(5);
    await sleep(20);
    abort.abort();
    await assert.rejects(downloading, { name: 'InterruptedError' });
  }));

test('an abort ends a request even where fetch has lost its signal', async (t) => {
  const silent = new Response(
    new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) }),
  );
  for (const answer of [new Promise<Response>(() => {}), Promise.resolve(silent)]) {
    await scene(ONE_FILE, async (at) => {
      t.mock.method(globalThis, 'fetch', () => answer);
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 20);
      await assert.rejects(at.download('hf:acme/one', { signal: abort.signal }), {
        name: 'InterruptedError',
      });
      t.mock.restoreAll();
    });
  }
});

test('a part that does not begin where it should is not taken for the file', () =>
  scene(ONE_FILE, async (at) => {
    await leavePartial(at, CONTENT.subarray(0, 300_000));
    at.hub.faults['cdn:model.safetensors'] = [{ kind: 'shift-range', by: 5 }];
    await assertWhole((await at.download('hf:acme/one')).path);
    assert.deepEqual(cdnRequests(at), [
      'cdn GET /acme/one/model.safetensors bytes=300000-',
      'cdn GET /acme/one/model.safetensors',
    ]);
  }));

test('a process that was killed leaves what the next takes up', () =>
  scene(ONE_FILE, async (at) => {
    at.hub.faults['cdn:model.safetensors'] = [{ kind: 'stall', after: 500_000 }];
    const child = spawn(process.execPath, [
      '--import',
      'tsx',
      CHILD,
      at.hub.endpoint,
      at.cacheDir,
      'hf:acme/one',
    ]);
    const blobs = join(at.cacheDir, 'models--acme--one', 'blobs');
    const received = async () => {
      const [name] = await readdir(blobs).catch(() => []);
      return name === undefined ? 0 : (await stat(join(blobs, name))).size;
    };
    while ((await received()) < 500_000 && child.exitCode === null) await sleep(10);
    child.kill('SIGKILL');
    await once(child, 'close');

    at.hub.takeRequests();
    await assertWhole((await at.download('hf:acme/one')).path);
    assert.deepEqual(cdnRequests(at), ['cdn GET /acme/one/model.safetensors bytes=500000-']);
    assert.deepEqual(await at.unfinished('acme/one'), []);
  }));

test('two processes that download the same file at the same time do not harm each other', () =>
  scene(ONE_FILE, async (at) => {
    await leavePartial(at, CONTENT.subarray(0, 250_000));
    const gate: Gate = { wanted: 2, waiting: [] };
    at.hub.faults['cdn:model.safetensors'] = [
      { kind: 'gate', gate },
      { kind: 'gate', gate },
    ];
    const run = () =>
      promisify(execFile)(process.execPath, [
        '--import',
        'tsx',
        CHILD,
        at.hub.endpoint,
        at.cacheDir,
        'hf:acme/one',
      ]);
    const [one, two] = await Promise.all([run(), run()]);
    assert.equal(one.stdout, two.stdout);
    await assertWhole(one.stdout);
    assert.deepEqual(
      cdnRequests(at).toSorted(),
      ['cdn GET /acme/one/model.safetensors', 'cdn GET /acme/one/model.safetensors bytes=250000-'],
      'one took up what was left, the other began anew',
    );
    assert.deepEqual(await at.unfinished('acme/one'), []);
  }));

test('a server that ignores the range is read from the start', () =>
  scene(ONE_FILE, async (at) => {
    await leavePartial(at, CONTENT.subarray(0, 300_000));
    at.hub.faults['cdn:model.safetensors'] = [{ kind: 'ignore-range' }];
    await assertWhole((await at.download('hf:acme/one')).path);
    assert.deepEqual(cdnRequests(at), ['cdn GET /acme/one/model.safetensors bytes=300000-']);
  }));

test('a server that ignores the range and always cuts at the same place is given up', () =>
  scene(ONE_FILE, async (at) => {
    const answers = Array.from({ length: 30 }, () => [
      { kind: 'replace', content: CONTENT.subarray(0, 300_000) } as const,
    ]);
    at.hub.faults['cdn:model.safetensors'] = answers.flat();
    await assert.rejects(at.download('hf:acme/one'), {
      name: 'UnavailableError',
      message: /model\.safetensors of acme\/one came only to \d+ of 1000000 bytes|answered 416/,
    });
    assert.equal(cdnRequests(at).length < 15, true);
  }));

test('leftovers that are whole, too long or wrong', () =>
  scene(ONE_FILE, async (at) => {
    const { download } = at;
    const blob = join(at.cacheDir, 'models--acme--one', 'blobs', sha256(CONTENT));
    const cases: [what: string, left: Buffer, requests: string[]][] = [
      ['whole', CONTENT, []],
      ['too long', Buffer.concat([CONTENT, CONTENT]), ['cdn GET /acme/one/model.safetensors']],
      [
        'wrong',
        noise('other', 1000),
        ['cdn GET /acme/one/model.safetensors bytes=1000-', 'cdn GET /acme/one/model.safetensors'],
      ],
    ];
    for (const [what, left, requests] of cases) {
      await leavePartial(at, left);
      await assertWhole((await download('hf:acme/one')).path);
      assert.deepEqual(cdnRequests(at), requests, what);
      await writeFile(blob, 'a blob that was cut short');
    }
    await assertWhole((await download('hf:acme/one')).path);
    assert.deepEqual(cdnRequests(at), ['cdn GET /acme/one/model.safetensors'], 'a short blob is replaced');
  }));

test('when one file fails, what came of the others is kept', () =>
  scene({ 'acme/tiny': shardedRepository() }, async (at) => {
    at.hub.faults['cdn:model-00002-of-00002.safetensors'] = [
      { kind: 'replace', content: noise('wrong', 400_001) },
    ];
    await assert.rejects(at.download('hf:acme/tiny'), {
      name: 'InputError',
      message: /model-00002-of-00002/,
    });
    at.hub.takeRequests();
    const { path } = await at.download('hf:acme/tiny');
    assert.equal((await stat(join(path, 'model-00002-of-00002.safetensors'))).size, 400_001);
    assert.equal(
      at.hub.takeRequests().some((request) => request.includes('config.json')),
      false,
    );
  }));
