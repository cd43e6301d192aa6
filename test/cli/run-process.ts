/** Runs a script as a child process, as a user's shell would, and collects what it wrote. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What a process left behind. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The repository's root. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Arguments for node that run `test/cli/tiny-command.ts`. */
export const TINY = ['--import', 'tsx', 'test/cli/tiny-command.ts'] as const;

/** The surroundings without what would change the output: our own variables, and those of terminals and CI. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const changes = /^(RECGEMMA_|NODE_|NO_COLOR$|FORCE_COLOR$|CI$|DEBUG$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !changes.test(name)));
}

/** Starts node with `args` in the repository's root. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, args, { cwd: ROOT, env: { ...plainEnvironment(), ...env } });
}

/** Waits for the end of a process that {@link start} gave. */
export async function finish(child: ChildProcessWithoutNullStreams): Promise<Finished> {
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** Runs node with `args` to its end. */
export function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const child = start(args, env);
  child.stdin.end();
  return finish(child);
}
