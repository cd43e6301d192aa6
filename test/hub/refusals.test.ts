import assert from 'node:assert/strict';
import { once } from 'node:events';
import { access, readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { mock, test } from 'node:test';
import { diskFailure } from '../../src/hub/disk.js';
import type { DownloadProgress } from '../../src/hub/transfer.js';
import { type Fault, gitSha1, sha256 } from './fake-hub.js';
import { COMMIT, large, noise, repository, shardedRepository, small } from './sample.js';
import { scene } from './scene.js';

const TINY = { 'acme/tiny': shardedRepository() };
const BUSY: Fault = { kind: 'status', status: 503 };

test('a gated repository: where to accept the licence, and what to set', () =>
  scene({ 'acme/tiny': shardedRepository({ gatedBy: 'right' }) }, async ({ hub, download }) => {
    const page = `${hub.endpoint}/acme/tiny`;
    await assert.rejects(download('hf:acme/tiny'), {
      name: 'UnavailableError',
      message: `acme/tiny is gated. Accept the licence at ${page}, then set HF_TOKEN.`,
    });
    await assert.rejects(download('hf:acme/tiny', { token: 'hf_other' }), {
      name: 'UnavailableError',
      message: /is gated, and the token that was sent has no access/,
    });
    assert.equal((await download('hf:acme/tiny', { env: { HF_TOKEN: 'right' } })).files.length, 9);
  }));

test('the token goes to the hub and nowhere else', () =>
  scene({ 'acme/tiny': shardedRepository({ gatedBy: 'hf_secret' }) }, async ({ hub, download }) => {
    await download('hf:acme/tiny', { token: 'hf_secret' });
    const sent = (server: string) =>
      hub.requests.filter((request) => request.server === server).map((request) => request.authorization);
    assert.equal(
      sent('hub').every((authorization) => authorization === 'Bearer hf_secret'),
      true,
    );
    assert.deepEqual(sent('cdn'), [undefined, undefined, undefined, undefined]);
  }));

test('a redirect inside the hub, as for a renamed repository, is followed with the token', () =>
  scene({ 'acme/tiny': shardedRepository({ gatedBy: 'hf_secret' }) }, async ({ hub, download }) => {
    const location = `/acme/tiny/resolve/${COMMIT}/config.json`;
    hub.faults['hub:config.json'] = [{ kind: 'redirect', location }];
    await download('hf:acme/tiny', { token: 'hf_secret' });
  }));

test('redirects that are not followed: in a circle, to no web address, from https to http', () =>
  scene(TINY, async ({ hub, download }) => {
    const circle = `/api/models/acme/tiny/revision/main`;
    hub.faults.revision = Array.from({ length: 9 }, () => ({ kind: 'redirect', location: circle }) as const);
    await assert.rejects(download('hf:acme/tiny'), {
      name: 'UnavailableError',
      message: /redirects more than 5 times/,
    });
    hub.faults.revision = [{ kind: 'redirect', location: 'file:///etc/passwd' }];
    await assert.rejects(download('hf:acme/tiny'), { name: 'UnavailableError', message: /no web address/ });

    const plain = mock.method(
      globalThis,
      'fetch',
      async () => new Response(null, { status: 302, headers: { location: 'http://a.example/' } }),
    );
    try {
      await assert.rejects(download('hf:acme/tiny', { endpoint: 'https://hub.example' }), {
        message: /from https to plain http/,
      });
      assert.equal(plain.mock.callCount(), 1);
    } finally {
      plain.mock.restore();
    }
  }));

test('no such repository, revision or file', () =>
  scene(TINY, async ({ hub, download }) => {
    await assert.rejects(download('hf:acme/none'), {
      name: 'UnavailableError',
      message: /has no repository acme\/none, or it is private/,
      hint: /HF_TOKEN/,
    });
    await assert.rejects(download('hf:acme/tiny@none'), {
      name: 'UnavailableError',
      message: 'acme/tiny has no branch, tag or commit named none.',
    });
    await assert.rejects(download(`hf:acme/tiny@${'0'.repeat(40)}`), {
      name: 'UnavailableError',
      message: /no branch, tag or commit/,
    });
    await assert.rejects(download('hf:acme/tiny/2b'), {
      name: 'InputError',
      message: 'acme/tiny has no 2b.',
    });
    hub.faults['hub:config.json'] = [
      { kind: 'status', status: 404, headers: { 'x-error-code': 'EntryNotFound' } },
    ];
    await assert.rejects(download('hf:acme/tiny'), {
      name: 'UnavailableError',
      message: /has no longer config\.json/,
    });
  }));

test('refusals without a code, as mirrors send them', () =>
  scene(TINY, async ({ hub, download }) => {
    hub.faults.revision = [
      { kind: 'status', status: 403 },
      { kind: 'status', status: 401 },
      { kind: 'status', status: 418 },
    ];
    await assert.rejects(download('hf:acme/tiny'), {
      name: 'UnavailableError',
      hint: /accept the licence at .*acme\/tiny, then set HF_TOKEN/,
    });
    await assert.rejects(download('hf:acme/tiny', { token: 'x' }), {
      name: 'UnavailableError',
      message: /does not accept the token/,
    });
    await assert.rejects(download('hf:acme/tiny'), { name: 'UnavailableError', message: /answered 418/ });
  }));

test('failures that pass are tried again', () =>
  scene(TINY, async ({ hub, download }) => {
    hub.faults.revision = [BUSY, { kind: 'status', status: 429, headers: { 'retry-after': '0' } }];
    hub.faults.tree = [{ kind: 'status', status: 500 }];
    hub.faults['hub:config.json'] = [BUSY, { kind: 'cut', after: 3 }];
    hub.faults['cdn:tokenizer.json'] = [{ kind: 'status', status: 403 }, BUSY];
    assert.equal((await download('hf:acme/tiny')).files.length, 9);
    const tries = (part: string) => hub.requests.filter(({ path }) => path.includes(part)).length;
    assert.deepEqual([tries('/revision/'), tries('/tree/'), tries('/config.json')], [3, 2, 3]);
    assert.equal(tries('/tokenizer.json'), 6, 'the address of large files is asked for anew each time');
  }));

test('a hub that stays busy is given up; one that asks for too long a wait, at once', () =>
  scene(TINY, async ({ hub, download }) => {
    hub.faults.revision = Array.from({ length: 9 }, () => BUSY);
    await assert.rejects(download('hf:acme/tiny'), {
      name: 'UnavailableError',
      message: /answered 503 when asked for the commit of main/,
    });
    assert.equal(hub.takeRequests().length, 5);
    hub.faults.revision = [{ kind: 'status', status: 429, headers: { 'retry-after': '3600' } }];
    await assert.rejects(download('hf:acme/tiny'), {
      name: 'UnavailableError',
      message: /answered 429 .* It asks to wait 60 min\./,
    });
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    hub.faults.revision = [{ kind: 'status', status: 429, headers: { 'retry-after': date } }];
    await assert.rejects(download('hf:acme/tiny'), {
      name: 'UnavailableError',
      message: /It asks to wait (59|60) min\./,
    });
  }));

test('nobody listens: said at once, with the copy that is here', () =>
  scene(TINY, async ({ hub, download }) => {
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const endpoint = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
    gone.close();
    await assert.rejects(download('hf:acme/tiny', { endpoint }), {
      name: 'UnavailableError',
      message: /cannot be reached \(ECONNREFUSED\)/,
      hint: /Check the network/,
    });
    await download('hf:acme/tiny', { endpoint: hub.endpoint });
    await assert.rejects(download('hf:acme/tiny', { endpoint }), {
      name: 'UnavailableError',
      hint: `The cache holds commit ${COMMIT}, complete: --offline uses it.`,
    });
  }));

test('wrong content is deleted, and the file named', async () => {
  const wrong: [key: string, content: Buffer, message: RegExp][] = [
    ['hub:config.json', Buffer.from('{"model_type": "recurrent_gemmx"}\n'), /^config\.json .* git SHA-1/],
    [
      'cdn:tokenizer.json',
      noise('wrong', 70_000),
      /^tokenizer\.json of acme\/tiny came with other content .* SHA-256/,
    ],
    ['cdn:tokenizer.json', noise('wrong', 70_001), /^tokenizer\.json of acme\/tiny came with other content/],
  ];
  for (const [key, content, message] of wrong) {
    await scene(TINY, async ({ hub, download, cacheDir }) => {
      hub.faults[key] = [{ kind: 'replace', content }];
      await assert.rejects(download('hf:acme/tiny'), { name: 'InputError', message });
      const file = TINY['acme/tiny'].files[key.slice(4)]!.content;
      const names = await readdir(join(cacheDir, 'models--acme--tiny', 'blobs'));
      assert.deepEqual(
        names.filter((name) => name.startsWith(gitSha1(file)) || name.startsWith(sha256(file))),
        [],
      );
      await assert.rejects(
        access(join(cacheDir, 'models--acme--tiny', 'snapshots')),
        'no snapshot shows half a checkpoint',
      );
      await download('hf:acme/tiny');
    });
  }
});

test('a large file that the hub announces with another checksum is not read', () =>
  scene(TINY, async ({ hub, download }) => {
    await download('hf:acme/tiny/model-00002-of-00002.safetensors');
    const shard = 'model-00001-of-00002.safetensors';
    const files = { ...TINY['acme/tiny'].files, [shard]: large('new', 1_500_000) };
    hub.repositories['acme/tiny'] = { ...TINY['acme/tiny'], files };
    let received = 0;
    const onProgress = (progress: DownloadProgress) => {
      if (progress.file === shard) received++;
    };
    await assert.rejects(download(`hf:acme/tiny/${shard}`, { onProgress }), {
      name: 'InputError',
      message: /^model-00001/,
    });
    assert.equal(received, 1, 'one report: of the nothing that was there before');
  }));

test('a listing that could write outside the cache, or is no listing, is refused whole', async () => {
  const good = { type: 'file', path: 'model.safetensors', size: 1, oid: 'a'.repeat(40) };
  const paths = [
    '../evil',
    'a/../../evil',
    '/etc/cron.d/evil',
    'a\\..\\evil',
    'C:/evil',
    'a//b',
    './a',
    '',
    'a\u0000b',
    'x'.repeat(300),
    7,
  ];
  const entries: unknown[] = [
    ...paths.map((path) => ({ ...good, path })),
    { ...good, size: -1 },
    { ...good, size: 1.5 },
    { ...good, size: '1' },
    { ...good, oid: '../../evil' },
    { ...good, oid: undefined },
    { ...good, lfs: { oid: '../../../evil', size: 1 } },
    null,
    'file',
  ];
  await scene({}, async ({ hub, download, cacheDir }) => {
    for (const entry of entries) {
      hub.repositories['acme/evil'] = repository(
        { 'config.json': small('{}') },
        { extraEntries: [good, entry] },
      );
      if (entry === 'file')
        hub.repositories['acme/evil'] = {
          ...hub.repositories['acme/evil'],
          commit: '../../evil',
          refs: { main: '../../evil' },
        };
      await assert.rejects(download('hf:acme/evil'), { name: 'InputError' }, JSON.stringify(entry));
    }
    assert.equal(
      hub.takeRequests().some((request) => request.includes('/resolve/')),
      false,
    );
    assert.deepEqual(await readdir(cacheDir), [], 'nothing was written');
  });
});

test('a listing without end is not waited for', () =>
  scene(
    {
      'acme/tiny': shardedRepository(),
      'acme/wide': repository({}, { extraEntries: ['x'.repeat(2 ** 24)] }),
    },
    async ({ hub, download }) => {
      await assert.rejects(download('hf:acme/wide'), {
        name: 'InputError',
        message: /more files .* than any checkpoint/,
      });
      hub.pageSize = 0;
      await assert.rejects(download('hf:acme/tiny'), {
        name: 'InputError',
        message: /more files .* than any checkpoint/,
      });
    },
  ));

test('an endpoint that is no hub', async () => {
  const server = createServer((_, reply) => reply.end('<html>Please log in</html>')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  await scene({}, async ({ download }) => {
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await assert.rejects(download('hf:acme/tiny', { endpoint }), {
      name: 'InputError',
      message: /does not answer as a Hugging Face hub does/,
      hint: /HF_ENDPOINT/,
    });
  });
  server.close();
});

test('a disk that is full or may not be written to', async () => {
  const failure = (code: string) => diskFailure(Object.assign(new Error(code), { code }), '/cache');
  assert.match(
    String(failure('ENOSPC')),
    /UnavailableError: The disk of \/cache is full; what has been downloaded is kept/,
  );
  assert.match(
    String(failure('EROFS')),
    /UnavailableError: The cache folder \/cache cannot be written to \(EROFS\)/,
  );
  await scene(TINY, async ({ download }) => {
    await assert.rejects(download('hf:acme/tiny', { cacheDir: '/dev/null/cache' }), {
      name: 'UnavailableError',
      message: /cannot be written to \(ENOTDIR\)/,
    });
  });
});
