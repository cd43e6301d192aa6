/** One of the threads that read memory at the same time, each its own. */

import { parentPort, workerData } from 'node:worker_threads';
import { READ_MEMORY } from './read-memory.js';

/** What a thread is started with. */
export interface BandwidthSetup {
  /** Bytes that this thread reads in a pass: a power of two. */
  readonly bytes: number;
  readonly passes: number;
  /** Threads that start each pass together. */
  readonly threads: number;
  /** Shared: how many have arrived, and how many passes have begun. */
  readonly barrier: Int32Array;
}

/** When each pass of a thread began and ended, in nanoseconds of the machine's own clock. */
export type ReadingTimes = readonly { readonly start: number; readonly end: number }[];

/** What read-memory.wat exports. */
interface ReadMemory {
  touch(bytes: number): void;
  read(first: number, second: number, end: number): bigint;
}

const PAGE_BYTES = 64 << 10;

/** Bytes that one call reads: the engine puts a better compiled function in its place only between two calls. */
const CALL_BYTES = 8 << 20;

const { bytes, passes, threads, barrier } = workerData as BandwidthSetup;
const memory = new WebAssembly.Memory({ initial: bytes / PAGE_BYTES });
const instance = new WebAssembly.Instance(new WebAssembly.Module(READ_MEMORY), { env: { memory } });
const { touch, read } = instance.exports as unknown as ReadMemory;

touch(bytes);
const times = Array.from({ length: passes }, () => {
  waitForAll();
  const start = now();
  for (let at = 0; at < bytes; at += CALL_BYTES) {
    const middle = at + CALL_BYTES / 2;
    read(at, middle, middle);
  }
  return { start, end: now() };
});
parentPort!.postMessage(times satisfies ReadingTimes);

/** Returns when every thread has come here. */
function waitForAll(): void {
  const begun = Atomics.load(barrier, 1);
  if (Atomics.add(barrier, 0, 1) + 1 < threads) {
    Atomics.wait(barrier, 1, begun);
    return;
  }
  Atomics.store(barrier, 0, 0);
  Atomics.add(barrier, 1, 1);
  Atomics.notify(barrier, 1);
}

function now(): number {
  return Number(process.hrtime.bigint());
}
