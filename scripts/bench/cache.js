// Where the measurements keep what they make: large, and made again when it is gone.

import { join } from 'node:path';
import { cacheFolder } from '../../dist/cache-folder.js';

/** A path in the measurements' part of recgemma's cache folder. */
export function benchCache(...names) {
  return join(cacheFolder(process.env), 'bench', ...names);
}
