/**
 * The unfinished copy of a blob. At rest it is `<digest>.incomplete`; while a process writes to it, it bears that
 * process's name. To take one over is to rename it, which only one process can do: so no two ever write to the same
 * file, on any file system and without locks. Two that start together both download, and the second to finish
 * replaces a blob by its equal.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** An unfinished blob that is ours alone. */
export interface PartialBlob {
  readonly path: string;
  /** Bytes it already has. */
  readonly size: number;
}

/** Takes over what an earlier run left of `blob`, or names a file for a new start; the file need not exist. */
export async function claimPartial(blob: string): Promise<PartialBlob> {
  await mkdir(dirname(blob), { recursive: true });
  const mine = `${blob}.${thisHost()}-${process.pid}-${randomBytes(4).toString('hex')}.incomplete`;
  for (const left of await leftovers(blob)) {
    const claimed = await rename(left.path, mine).then(
      () => true,
      () => false,
    );
    if (claimed) return { path: mine, size: left.size };
  }
  return { path: mine, size: 0 };
}

/** Leaves an unfinished blob for the next run. */
export async function releasePartial(blob: string, partial: string): Promise<void> {
  const size = await sizeOf(partial);
  if (size === undefined) return;
  const resting = restingPath(blob);
  if (size === 0 || size <= ((await sizeOf(resting)) ?? 0)) await rm(partial, { force: true });
  else await rename(partial, resting);
}

/** Bytes that the next run will find of `blob`. */
export async function keptBytes(blob: string): Promise<number> {
  return (await leftovers(blob))[0]?.size ?? 0;
}

/** What earlier runs left of `blob`, the longest first: put to rest, or named after a process that has died. */
async function leftovers(blob: string): Promise<PartialBlob[]> {
  const names = await readdir(dirname(blob)).catch(() => []);
  const free = names.filter((name) => isFree(name, basename(blob))).map((name) => join(dirname(blob), name));
  const sized = await Promise.all(free.map(async (path) => ({ path, size: (await sizeOf(path)) ?? 0 })));
  return sized.filter(({ size }) => size > 0).sort((a, b) => b.size - a.size);
}

function isFree(name: string, blob: string): boolean {
  if (name === `${blob}.incomplete`) return true;
  if (!name.startsWith(`${blob}.${thisHost()}-`)) return false;
  const pid = /-(\d+)-[0-9a-f]{8}\.incomplete$/.exec(name)?.[1];
  return pid !== undefined && !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and is not ours.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

function restingPath(blob: string): string {
  return `${blob}.incomplete`;
}

/** A process id means something on its own machine only. */
function thisHost(): string {
  return hostname()
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 32);
}

async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.size;
}
