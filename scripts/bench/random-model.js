// Model folders of random weights, kept in the cache for as long as the code that made them is this code.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchCache } from './cache.js';

const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url));

/** What decides which bytes a conversion writes, below dist/. */
const CONVERTER = ['convert', 'graph', 'models', 'quantize', 'runtime/random.js', 'manifest.js'];

/** The folder of `preset` in `precision`, made first where there is none. */
export function randomModel(model) {
  const folder = benchCache(`${model.preset}-${model.precision}-kv-${model.kvCache}-seed-${model.seed}`);
  // Beside the folder, which holds nothing but the model.
  const keyFile = `${folder}.key`;
  const key = converterHash();
  const isFresh = () => readFileSync(keyFile, 'utf8') === key;
  if (existsSync(join(folder, 'recgemma.json')) && existsSync(keyFile) && isFresh()) return folder;

  console.error(`Making ${folder}, which stays there for the next time …`);
  mkdirSync(benchCache(), { recursive: true });
  convert(model, ['--out', folder, '--force'], ['ignore', 'ignore', 'inherit']);
  writeFileSync(keyFile, key);
  return folder;
}

/** What a conversion would write, as `convert --dry-run --json` reports it. */
export function dryRun(model) {
  const nowhere = benchCache('not-written');
  return JSON.parse(convert(model, ['--out', nowhere, '--dry-run', '--json'], ['ignore', 'pipe', 'inherit']));
}

function convert({ preset, precision, kvCache, seed }, args, stdio) {
  const what = [
    '--preset',
    preset,
    '--random-weights',
    seed,
    '--precision',
    precision,
    '--kv-cache',
    kvCache,
  ];
  const { status, stdout } = spawnSync(process.execPath, [run, 'convert', ...what, ...args], {
    stdio,
    encoding: 'utf8',
  });
  if (status === 0) return stdout;
  // What was wrong is said already, with --json on stdout.
  if (stdout) console.error(stdout.trim());
  process.exit(status ?? 1);
}

function converterHash() {
  const hash = createHash('sha256');
  for (const name of CONVERTER) {
    const path = fileURLToPath(new URL(`../../dist/${name}`, import.meta.url));
    const files = statSync(path).isFile()
      ? [path]
      : readdirSync(path, { recursive: true, encoding: 'utf8' }).map((file) => join(path, file));
    for (const file of files.filter((each) => each.endsWith('.js')).sort()) hash.update(readFileSync(file));
  }
  return hash.digest('hex');
}
