/** `recgemma convert hf:org/name` against a hub on this machine: its licence, its cache, and what the manifest says. */

import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type FakeHub, startFakeHub } from '../hub/fake-hub.js';
import { COMMIT, repository } from '../hub/sample.js';
import { goldenPath, temporaryFolder } from '../support/goldens.js';
import { finish, NOT_BUILT, recgemma, start, until, wasInterrupted } from './run.js';

const TOKEN = 'hf_secret';

describe('recgemma convert hf:org/name', { skip: NOT_BUILT, concurrency: 1 }, () => {
  let hub: FakeHub;
  let folder: string;
  const hubVariables = (more: NodeJS.ProcessEnv = {}) => ({
    env: {
      HF_ENDPOINT: hub.endpoint,
      HF_HUB_CACHE: join(folder, 'cache'),
      HF_TOKEN_PATH: join(folder, 'no-token'),
      ...more,
    },
  });

  before(async () => {
    folder = await temporaryFolder();
    const source = goldenPath('checkpoints/rg-tiny/hf-sharded-bf16')!;
    const names = await readdir(source);
    const contents = await Promise.all(names.map((name) => readFile(join(source, name))));
    const files = Object.fromEntries(
      names.map((name, i) => [name, { content: contents[i]!, lfs: name.endsWith('.safetensors') }]),
    );
    const gated = repository(files, { gatedBy: TOKEN });
    hub = await startFakeHub({ 'acme/open': repository(files), 'acme/gated': gated });
  });
  after(() => hub.close());

  it('downloads and converts, and the manifest names repository and commit', async () => {
    const out = join(folder, 'open');
    const result = await recgemma(['convert', 'hf:acme/open', '--out', out], hubVariables());
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stdout, /^Wrote \S+open: griffin, /);
    const { source } = JSON.parse(await readFile(join(out, 'recgemma.json'), 'utf8')) as {
      source: { hub: unknown; files: { name: string }[] };
    };
    assert.deepEqual(source.hub, { repository: 'acme/open', commit: COMMIT });
    assert.deepEqual(source.files.map(({ name }) => name.replace(/^model-0000|-of.*|\..*/g, '')).sort(), [
      ...['1', '2', '3', '4', 'model'],
    ]);
  });

  it('a second time asks nobody with --offline, or HF_HUB_OFFLINE', async () => {
    hub.takeRequests();
    const convert = (out: string, args: string[], env: NodeJS.ProcessEnv = {}) =>
      recgemma(['convert', 'hf:acme/open', '-q', '--out', join(folder, out), ...args], hubVariables(env));
    assert.equal((await convert('offline', ['--offline'])).status, 0);
    assert.equal((await convert('offline-too', [], { HF_HUB_OFFLINE: '1' })).status, 0);
    const other = await recgemma(
      ['convert', 'hf:acme/other', '--offline', '--out', join(folder, 'other')],
      hubVariables(),
    );
    assert.equal(other.status, 5);
    assert.match(other.stderr, /^error: .*acme\/other.*\.$/m);
    assert.deepEqual(hub.takeRequests(), []);
  });

  it('ends with 5 where the licence is not accepted, and says where to do that', async () => {
    const convert = (env?: NodeJS.ProcessEnv) =>
      recgemma(['convert', 'hf:acme/gated', '-q', '--out', join(folder, 'gated')], hubVariables(env));
    const { status, stdout, stderr } = await convert();
    assert.deepEqual([status, stdout], [5, '']);
    assert.equal(
      stderr,
      `error: acme/gated is gated. Accept the licence at ${hub.endpoint}/acme/gated, then set HF_TOKEN.\nhint: A token is made at https://huggingface.co/settings/tokens.\n`,
    );
    const wrong = await convert({ HF_TOKEN: 'hf_wrong' });
    assert.equal(wrong.status, 5);
    assert.match(wrong.stderr, /the token that was sent has no access/);
    assert.doesNotMatch(wrong.stderr, /hf_wrong/);
    assert.equal((await convert({ HF_TOKEN: TOKEN })).status, 0);
  });

  it('ends with 5 where the repository or the hub is not there, and with 2 for no reference', async () => {
    const convert = (reference: string, env?: NodeJS.ProcessEnv) =>
      recgemma(['convert', reference, '-q', '--out', join(folder, 'none')], hubVariables(env));
    const none = await convert('hf:acme/none');
    assert.equal(none.status, 5);
    assert.match(none.stderr, /^error: .*acme\/none.*\n(hint: .*\n)?$/);
    const gone = await startFakeHub({});
    await gone.close();
    const nobody = await convert('hf:acme/none', { HF_ENDPOINT: gone.endpoint });
    assert.equal(nobody.status, 5);
    assert.match(nobody.stderr, /^error: .*http:\/\/127\.0\.0\.1:\d+.*\nhint: Check the network/);
    assert.equal((await convert('hf:acme')).status, 2);
    assert.ok(!(await readdir(folder)).some((name) => name.startsWith('none')));
  });

  it('stops a download at Ctrl-C, and goes on from there the next time', async () => {
    const cache = join(folder, 'interrupted');
    const surroundings = hubVariables({ HF_HUB_CACHE: cache });
    const args = ['convert', 'hf:acme/open', '--out', join(folder, 'later')];
    const last = 'model-00002-of-00004.safetensors';
    hub.faults[`cdn:${last}`] = [{ kind: 'stall', after: 1000 }];
    const child = start(args, surroundings);
    await until(child, async () => (await sizesIn(cache)).includes(1000));
    child.kill('SIGINT');
    const result = await finish(child);
    assert.ok(wasInterrupted(result), JSON.stringify(result));
    assert.match(result.stderr, /Interrupted/);
    assert.ok(!(await readdir(folder)).some((name) => name.startsWith('later')));

    hub.takeRequests();
    assert.equal((await recgemma(args, surroundings)).status, 0);
    assert.ok(hub.takeRequests().includes(`cdn GET /acme/open/${last} bytes=1000-`));
  });
});

/** The sizes of all files in a folder that may not be there yet. */
async function sizesIn(folder: string): Promise<number[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const found = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)));
  return found.map((each) => each?.size ?? 0);
}
