/** A download in a process of its own, for tests that run two at once, or kill one: arguments are endpoint, cache, reference. */

import { downloadCheckpoint } from '../../src/hub/download.js';
import { parseHubReference } from '../../src/hub/reference.js';

const [endpoint, cacheDir, reference = ''] = process.argv.slice(2);
const { path } = await downloadCheckpoint(parseHubReference(reference)!, {
  endpoint,
  cacheDir,
  env: { HF_TOKEN_PATH: '/nowhere' },
});
process.stdout.write(path);
