/** Where recgemma keeps what it can make again. */

import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** `RECGEMMA_CACHE`, else a folder of ours where the platform keeps such things. */
export function cacheFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  if (env.RECGEMMA_CACHE) return env.RECGEMMA_CACHE;
  if (platform === 'win32' && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, 'recgemma', 'Cache');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'recgemma');
  // The XDG base directory specification: a relative path there is to be ignored.
  const xdg = env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME) ? env.XDG_CACHE_HOME : undefined;
  return join(xdg ?? join(homedir(), '.cache'), 'recgemma');
}
