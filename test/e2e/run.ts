/** The built command as a child process, in surroundings that hold nothing of the user's. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Why a test must be skipped, or false. */
export const NOT_BUILT = !existsSync(join(ROOT, 'dist/cli.js')) && 'not built: npm run build';

/** A command that takes longer is stuck, and is stopped so that its test fails. */
const STUCK_MS = 120_000;

/** How a process ended, and what it wrote. */
export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a process is given. */
export interface Surroundings {
  readonly env?: NodeJS.ProcessEnv;
  /** By default the repository's root. */
  readonly cwd?: string;
}

/** The surroundings without what changes what the command does: its own variables, the hub's, those of terminals and CI. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const changes =
    /^(RECGEMMA_|HF_|HUGGINGFACE_|XDG_|NODE_|NO_COLOR$|FORCE_COLOR$|CI$|DEBUG$|https?_proxy$|all_proxy$)/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !changes.test(name)));
}

/** Starts `recgemma` with `args`. */
export function start(
  args: readonly string[],
  { env = {}, cwd = ROOT }: Surroundings = {},
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [join(ROOT, 'bin/run.js'), ...args], {
    cwd,
    env: { ...plainEnvironment(), ...env },
    timeout: STUCK_MS,
  });
}

/** Waits for the end of a process that {@link start} gave. */
export async function finish(child: ChildProcessWithoutNullStreams): Promise<Finished> {
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text;
    });
  }
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { status, signal, ...output };
}

/** Runs `recgemma` to its end, with `input` as all of its stdin. */
export function recgemma(
  args: readonly string[],
  { input = '', ...surroundings }: Surroundings & { readonly input?: string } = {},
): Promise<Finished> {
  const child = start(args, surroundings);
  child.stdin.on('error', () => {}); // a command that needs no stdin may end before it is written
  child.stdin.end(input);
  return finish(child);
}

/** Waits until something is so, or the process has ended without it. */
export async function until(
  child: ChildProcessWithoutNullStreams,
  isSo: () => Promise<boolean>,
): Promise<void> {
  while (child.exitCode === null && child.signalCode === null && !(await isSo())) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The lines of JSON on stdout. */
export function jsonLines<T = Record<string, unknown>>({ stdout }: Finished): T[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** Ended by Ctrl-C: with 130, or where a thread was busy by the signal itself, which a shell reports as 130 too. */
export function wasInterrupted({ status, signal }: Finished): boolean {
  return status === 130 || signal === 'SIGINT';
}
