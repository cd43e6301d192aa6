/** How much memory this process may still take. */

import { readFile } from 'node:fs/promises';
import os from 'node:os';

/** Where Linux says what a container uses: control groups of version 2, and of version 1. */
const CONTAINERS = [
  { used: '/sys/fs/cgroup/memory.current', stat: '/sys/fs/cgroup/memory.stat' },
  {
    used: '/sys/fs/cgroup/memory/memory.usage_in_bytes',
    stat: '/sys/fs/cgroup/memory/memory.stat',
  },
];

/**
 * Bytes that are free, on the machine and within the limit of a container. What the file cache holds counts as free. macOS does not tell that apart, so there it
 * is all memory but this process's own.
 */
export async function freeMemory(): Promise<number> {
  const own = process.memoryUsage.rss();
  const free = process.platform === 'darwin' ? os.totalmem() - own : os.freemem();
  const limit = process.constrainedMemory();
  if (!(limit > 0 && limit < os.totalmem())) return free;
  return Math.max(0, Math.min(free, limit - ((await containerUse()) ?? own)));
}

async function containerUse(): Promise<number | undefined> {
  for (const { used, stat } of CONTAINERS) {
    const [total, details] = await Promise.all([used, stat].map((file) => readFile(file, 'utf8'))).catch(
      () => [],
    );
    if (total !== undefined && details !== undefined) return Number(total) - fileCache(details);
  }
  return undefined;
}

/** Bytes of files in a container's memory, of what its `memory.stat` lists. */
export function fileCache(stat: string): number {
  const lines = stat.matchAll(/^(?:in)?active_file (\d+)$/gm);
  return [...lines].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}
