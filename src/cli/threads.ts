/** Ending a process that may have threads inside native code: `process.exit` would wait for them, and onnxruntime may crash then. */

import type { Worker } from 'node:worker_threads';

const running = new Set<Worker>();

/** Counts worker threads from now on. */
export function watchThreads(): void {
  process.on('worker', (worker) => {
    running.add(worker);
    worker.once('exit', () => running.delete(worker));
  });
}

/** Resolves when no thread runs any more, or after `limitMs`. */
export async function threadsEnded(limitMs: number): Promise<void> {
  const ended = [...running].map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
  if (ended.length === 0) return;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([Promise.all(ended), limit]);
  clearTimeout(timer);
}

/**
 * Ends an interrupted process at once, with exit code 130; where a thread is still busy, by the signal itself, which a shell
 * reports as 130 too.
 */
export function exitInterrupted(): void {
  if (running.size === 0) process.exit(130);
  process.removeAllListeners('SIGINT');
  process.kill(process.pid, 'SIGINT');
}
