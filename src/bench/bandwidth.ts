/** How fast this machine reads memory: what a decode step, which reads every weight once, cannot be faster than. */

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { BandwidthSetup, ReadingTimes } from './bandwidth-worker.js';

/** Memory that is read in all, at least: many times what caches hold. */
const TOTAL_BYTES = 2 ** 30;
/** Each thread's own, at least, where there are many. */
const THREAD_BYTES = 2 ** 26;

/** Times that all of it is read; a machine with other work to do is left alone in one of them, with luck. */
const PASSES = 16;

/**
 * Measures how many GB (10^9 bytes) a second all threads together read from memory, the best of several passes; takes about a
 * second, and 1 GiB of memory.
 * @param threads by default one for each core that this process may use.
 */
export async function measureBandwidth(threads = availableParallelism()): Promise<number> {
  const bytes = 2 ** Math.ceil(Math.log2(Math.max(TOTAL_BYTES / threads, THREAD_BYTES)));
  const setup: BandwidthSetup = {
    bytes,
    passes: PASSES,
    threads,
    barrier: new Int32Array(new SharedArrayBuffer(8)),
  };
  const readings = await Promise.all(Array.from({ length: threads }, () => startReading(setup)));
  const rates = Array.from({ length: PASSES }, (_, pass) => {
    const times = readings.map((each) => each[pass]!);
    const nanoseconds =
      Math.max(...times.map(({ end }) => end)) - Math.min(...times.map(({ start }) => start));
    return (threads * bytes) / nanoseconds;
  });
  return Math.max(...rates);
}

function startReading(setup: BandwidthSetup): Promise<ReadingTimes> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./bandwidth-worker.js', import.meta.url), { workerData: setup });
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}
