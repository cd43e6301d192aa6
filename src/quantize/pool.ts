/** The threads that quantize: as many as the machine runs at once, started when first needed. */

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { RecgemmaError } from '../errors.js';
import type { BandJob, BandResult } from './band.js';
import type { FromQuantizer, ToQuantizer } from './quantize-worker.js';

/** Who waits for a job. */
interface Waiting {
  resolve(result: BandResult): void;
  reject(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
  /** Why it does nothing any more. */
  failure?: Error;
}

/** Some threads that share the work. */
export class Pool {
  readonly #threads: readonly Thread[];
  #jobs = 0;

  constructor(threads: number) {
    this.#threads = Array.from({ length: threads }, startThread);
  }

  /** Jobs that may be under way at once with no thread running out of work. */
  get depth(): number {
    return 2 * this.#threads.length + 1;
  }

  /** Has a band quantized by the thread that has least to do. */
  run(job: BandJob): Promise<BandResult> {
    const thread = this.#threads.reduce((a, b) => (b.waiting.size < a.waiting.size ? b : a));
    const { worker, waiting } = thread;
    const id = this.#jobs++;
    return new Promise((resolve, reject) => {
      if (thread.failure) throw thread.failure;
      waiting.set(id, { resolve, reject });
      // Only a thread at work keeps the process alive.
      worker.ref();
      worker.postMessage({ id, job } satisfies ToQuantizer);
    });
  }

  /** Ends the threads. Jobs under way fail. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }
}

function startThread(): Thread {
  const worker = new Worker(new URL('./quantize-worker.js', import.meta.url));
  const thread: Thread = { worker, waiting: new Map() };
  const fail = (error: Error) => {
    thread.failure ??= error;
    for (const { reject } of thread.waiting.values()) reject(error);
    thread.waiting.clear();
  };
  worker.on('message', ({ id, result }: FromQuantizer) => {
    thread.waiting.get(id)?.resolve(result);
    thread.waiting.delete(id);
    if (thread.waiting.size === 0) worker.unref();
  });
  worker.on('error', fail);
  worker.on('exit', () => fail(new RecgemmaError('failed', 'a thread that quantizes was stopped')));
  worker.unref();
  return thread;
}

let current: Pool | undefined;
/** How many {@link quantize} calls are under way. */
let users = 0;

/** The threads, started where there are none: `count` of them, else one a core. Ends with {@link leavePool}. */
export function enterPool(count = availableParallelism()): Pool {
  current ??= new Pool(count);
  users++;
  return current;
}

/** Says that a call of {@link enterPool} needs the threads no more. They stay, for the next one. */
export function leavePool(): void {
  users--;
}

/** Ends the threads, unless somebody still uses them; whoever quantizes calls it when all is written, or when it fails. */
export async function releasePool(): Promise<void> {
  if (users > 0) return;
  const ended = current;
  current = undefined;
  await ended?.close();
}
