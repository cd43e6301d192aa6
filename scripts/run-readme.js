// Runs every command of the README as it stands there: the ```sh blocks in order, each in one shell that stops at the first failure.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(`${root}README.md`, 'utf8');
const blocks = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1].trim());

for (const block of blocks) {
  console.log(`\n$ ${block.replaceAll('\n', '\n$ ')}`);
  const { status, signal } = spawnSync('bash', ['-euo', 'pipefail', '-c', block], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) {
    console.error(`The README's command failed (${signal ?? `exit ${status}`}).`);
    process.exit(1);
  }
}
console.log(`\nAll ${blocks.length} command blocks of the README ran.`);
