// Runs the tests: node scripts/test.js [--full] [part of a path | option of node --test]...
// (Node 20's test runner takes no globs, so the files are found here.)
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const given = process.argv.slice(2);
const full = given.includes('--full');
const options = given.filter((word) => word.startsWith('--') && word !== '--full');
const filters = given.filter((word) => !word.startsWith('--'));

const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .map((file) => join('test', file).split(sep).join('/'))
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => full || !file.startsWith('test/full/'))
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(asInRoot(filter))))
  .sort();

/** A filter as a path from the repository's root, so that `./test/cli` and an absolute path work too. */
function asInRoot(filter) {
  return filter.startsWith('.') || filter.startsWith('/')
    ? relative(root, filter).split(sep).join('/')
    : filter;
}

if (files.length === 0) {
  console.error(`No test file matches ${filters.join(' ')}.`);
  process.exit(1);
}

const runner = spawn(
  process.execPath,
  ['--import', './test/support/register.js', '--test', '--test-concurrency=2', ...options, ...files],
  { cwd: root, stdio: 'inherit' },
);
runner.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.kill(signal));
