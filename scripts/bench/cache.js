// Where the measurements keep what they make: large, and made again when it is gone.

import { homedir } from 'node:os';
import { join } from 'node:path';

/** A path below recgemma's own part of the user's cache folder. */
export function benchCache(...names) {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'recgemma', 'bench', ...names);
}
