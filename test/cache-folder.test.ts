/** The cache folder on each platform. */

import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { cacheFolder } from '../src/cache-folder.js';

it('the cache folder is where the platform keeps such things, or where the user says', () => {
  assert.equal(cacheFolder({}, 'linux'), join(homedir(), '.cache', 'recgemma'));
  assert.equal(cacheFolder({ XDG_CACHE_HOME: '/caches' }, 'linux'), join('/caches', 'recgemma'));
  assert.equal(cacheFolder({ XDG_CACHE_HOME: 'relative' }, 'linux'), join(homedir(), '.cache', 'recgemma'));
  assert.equal(cacheFolder({}, 'darwin'), join(homedir(), 'Library', 'Caches', 'recgemma'));
  assert.equal(cacheFolder({ LOCALAPPDATA: 'C:/Local' }, 'win32'), join('C:/Local', 'recgemma', 'Cache'));
  for (const platform of ['linux', 'darwin', 'win32'] as const) {
    assert.equal(cacheFolder({ RECGEMMA_CACHE: '/mine', XDG_CACHE_HOME: '/caches' }, platform), '/mine');
  }
});
