import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hubSettings } from '../../src/hub/settings.js';

test('the cache folder follows the variables in the order of huggingface_hub', async () => {
  const folder = async (env: NodeJS.ProcessEnv) =>
    (await hubSettings({}, { HF_TOKEN_PATH: '/nowhere', ...env })).cacheDir;
  assert.equal(await folder({}), join(homedir(), '.cache', 'huggingface', 'hub'));
  assert.equal(await folder({ XDG_CACHE_HOME: '/x' }), join('/x', 'huggingface', 'hub'));
  assert.equal(await folder({ XDG_CACHE_HOME: '/x', HF_HOME: '/h' }), join('/h', 'hub'));
  assert.equal(await folder({ HF_HOME: '~/h' }), join(homedir(), 'h', 'hub'));
  assert.equal(await folder({ HF_HOME: '/h', HF_HUB_CACHE: '/c' }), '/c');
  assert.equal((await hubSettings({ cacheDir: '/o' }, { HF_HUB_CACHE: '/c' })).cacheDir, '/o');
});

test('the token comes from the option, HF_TOKEN, or the file that a log-in leaves', async () => {
  const home = await mkdtemp(join(tmpdir(), 'recgemma-hub-'));
  try {
    const token = async (env: NodeJS.ProcessEnv, option?: string) =>
      (await hubSettings({ token: option }, env)).token;
    assert.equal(await token({ HF_HOME: home }), undefined);
    await writeFile(join(home, 'token'), 'hf_file\n');
    assert.equal(await token({ HF_HOME: home }), 'hf_file');
    assert.equal(await token({ HF_HOME: home, HF_TOKEN: '' }), 'hf_file');
    assert.equal(await token({ HF_HOME: home, HF_TOKEN: ' hf_variable\n' }), 'hf_variable');
    assert.equal(await token({ HF_HOME: home, HF_TOKEN: 'hf_variable' }, 'hf_option'), 'hf_option');
    await assert.rejects(token({ HF_TOKEN: 'hf_a\nX-Evil: 1' }), {
      name: 'UsageError',
      message: /characters that no token has/,
    });
  } finally {
    await rm(home, { recursive: true });
  }
});

test('HF_ENDPOINT and HF_HUB_OFFLINE', async () => {
  const env = { HF_TOKEN: 't' };
  assert.equal((await hubSettings({}, env)).endpoint, 'https://huggingface.co');
  assert.equal(
    (await hubSettings({}, { ...env, HF_ENDPOINT: 'https://mirror.example/hf/' })).endpoint,
    'https://mirror.example/hf',
  );
  for (const HF_ENDPOINT of ['mirror.example', 'file:///etc']) {
    await assert.rejects(hubSettings({}, { ...env, HF_ENDPOINT }), {
      name: 'UsageError',
      hint: /HF_ENDPOINT/,
    });
  }
  for (const HF_HUB_OFFLINE of ['1', 'ON', 'true', 'Yes'])
    assert.equal((await hubSettings({}, { ...env, HF_HUB_OFFLINE })).offline, true);
  for (const HF_HUB_OFFLINE of ['', '0', 'false'])
    assert.equal((await hubSettings({}, { ...env, HF_HUB_OFFLINE })).offline, false);
  assert.equal((await hubSettings({ offline: false }, { ...env, HF_HUB_OFFLINE: '1' })).offline, false);
});
