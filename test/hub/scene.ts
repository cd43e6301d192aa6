/** What each test of the downloader needs: a fake hub, an empty cache, and a download that waits for nothing. */

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type DownloadedCheckpoint,
  type DownloadOptions,
  downloadCheckpoint,
} from '../../src/hub/download.js';
import { parseHubReference } from '../../src/hub/reference.js';
import { type FakeHub, type FakeRepository, startFakeHub } from './fake-hub.js';

export interface Scene {
  readonly hub: FakeHub;
  readonly cacheDir: string;
  download(reference: string, options?: DownloadOptions): Promise<DownloadedCheckpoint>;
  /** Names in the blobs folder that are no finished blobs. */
  unfinished(repository: string): Promise<string[]>;
}

/** Runs `play` with a hub that serves `repositories`, and takes everything down after it. */
export async function scene(
  repositories: Record<string, FakeRepository>,
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  const hub = await startFakeHub(repositories);
  const cacheDir = await mkdtemp(join(tmpdir(), 'recgemma-hub-'));
  try {
    await play({
      hub,
      cacheDir,
      download: (reference, options) =>
        downloadCheckpoint(parseHubReference(reference)!, {
          endpoint: hub.endpoint,
          cacheDir,
          env: { HF_TOKEN_PATH: join(cacheDir, 'no-token') },
          ...options,
          retry: { firstDelayMs: 1, ...options?.retry },
        }),
      unfinished: async (repository) => {
        const names = await readdir(join(cacheDir, `models--${repository.replace('/', '--')}`, 'blobs'));
        return names.filter((name) => !/^[0-9a-f]+$/.test(name));
      },
    });
  } finally {
    await hub.close();
    await rm(cacheDir, { recursive: true });
  }
}
