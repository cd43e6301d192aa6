/** Serves the sample repositories until its input ends: for scripts/hub/record_python_cache.py. Prints the address. */

import { startFakeHub } from './fake-hub.js';
import { flaxRepository, shardedRepository } from './sample.js';

const hub = await startFakeHub({ 'acme/tiny': shardedRepository(), 'acme/tiny-flax': flaxRepository() });
process.stdout.write(`${hub.endpoint}\n`);
process.stdin.resume().on('end', () => hub.close());
