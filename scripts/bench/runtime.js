// Measures decoding and prefill beside what memory allows: npm run bench:runtime [-- --preset NAME] [--precision int8,int4]
// [--batch 1,4,16] [--prefill 512] [--context 2048] [--kv-cache int8] [--threads N] [--seconds 4] [--seed N] [--model DIR,DIR] [--json FILE]
// The model has random weights and is kept in the cache folder; --model measures model folders that are there instead. A decode step
// reads every weight and each row's state once, so its bytes over the bandwidth is the time that it cannot be faster than.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeHost, measureBandwidth, packageVersion } from '../../dist/index.js';
import { dryRun, randomModel } from './random-model.js';

/** Those that a CPU has a use for; fp16 becomes fp32 when it is loaded. */
const PRECISIONS = ['fp32', 'int8', 'int4'];

/** Tokens behind each row of a model whose cache is never full: RecurrentGemma's window. */
const CACHED_TOKENS = 2048;

/** How far the bandwidth may move before the machine was not idle. */
const UNSTEADY = 0.1;

const CELL = fileURLToPath(new URL('./runtime-cell.js', import.meta.url));

const { values } = parseArgs({
  options: {
    preset: { type: 'string', default: 'recurrentgemma-2b' },
    precision: { type: 'string' },
    batch: { type: 'string', default: '1,2,4,8,16,32,64' },
    prefill: { type: 'string', default: '128,512,2048' },
    context: { type: 'string' },
    'kv-cache': { type: 'string', default: 'auto' },
    threads: { type: 'string' },
    seconds: { type: 'string', default: '4' },
    seed: { type: 'string', default: '0' },
    model: { type: 'string' },
    json: { type: 'string' },
  },
});
const batches = numbers('batch', 1);
const prompts = numbers('prefill', 1);
const [context] = numbers('context', 0);
const [threads] = numbers('threads', 1);
const [seconds] = numbers('seconds', 0);
const host = await describeHost();
const models =
  values.model?.split(',') ?? choosePrecisions().map((precision) => randomModel(random(precision)));

const bandwidths = [await measureBandwidth(threads)];
const measured = [];
for (const model of models) {
  const { precision, state } = JSON.parse(readFileSync(join(model, 'recgemma.json'), 'utf8'));
  const rings = state.flatMap(({ kind, shape }) => (kind === 'ring' ? [shape[1]] : []));
  const isEndless = state.some(({ kind }) => kind === 'cache');
  const window = Math.max(0, ...rings, ...(isEndless ? [CACHED_TOKENS] : []));
  const cells = [
    ...batches.map((batch) => ({ test: 'decode', batch, context: context ?? window })),
    ...prompts.map((prompt) => ({ test: 'prefill', batch: 1, prompt })),
  ];
  for (const cell of cells) {
    const name = `${precision} ${describe(cell)}`;
    const result = measure({ folder: model, threads, seconds, ...cell });
    bandwidths.push(await measureBandwidth(threads));
    if (!result) {
      console.error(`${name} failed.`);
      process.exitCode = 1;
      continue;
    }
    console.error(`${name}: ${result.tokens_per_second.toFixed(1)} tokens/s`);
    // The bandwidth of before and after it: a machine with other guests has more and less of it from one minute to the next.
    measured.push({
      precision,
      ...cell,
      ...result,
      nearby_bandwidth_gbps: Math.max(...bandwidths.slice(-2)),
    });
  }
}

const [least, most] = [Math.min(...bandwidths), Math.max(...bandwidths)];
if (least < (1 - UNSTEADY) * most) {
  console.error(
    `warning: the bandwidth moved from ${least.toFixed(1)} to ${most.toFixed(1)} GB/s; is the machine idle?`,
  );
}
const results = measured.map(({ precision, test, batch, ...rest }) => {
  const bytesPerSecond = (rest.bytes_per_step * rest.steps) / rest.seconds.median;
  return { precision, test, batch, ...rest, share_of_limit: bytesPerSecond / (most * 1e9) };
});
if (values.json) {
  const { preset, seed } = values;
  const report = {
    bandwidth_gbps: most,
    least_bandwidth_gbps: least,
    results,
    ...(values.model ? {} : { preset, seed: Number(seed) }),
    threads: threads ?? host.cpu.cores,
    recgemma: await packageVersion(),
    host,
  };
  writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
}
printTable(results);

/** The precisions that were asked for, or all that fit in this machine's memory with the largest batch. */
function choosePrecisions() {
  if (values.precision !== undefined) return values.precision.split(',');
  return PRECISIONS.filter((precision) => {
    const { weight_bytes: weights, state_bytes_per_sequence: state } = dryRun(random(precision));
    // While weights are laid out for products, both forms are there.
    const fits = 2 * weights + Math.max(0, ...batches) * state < host.memory;
    if (!fits) console.error(`${precision} is left out: its weights need more memory than there is.`);
    return fits;
  });
}

function random(precision) {
  return { preset: values.preset, precision, kvCache: values['kv-cache'], seed: values.seed };
}

/** Runs one cell in a process of its own; undefined where it failed, which it has explained. */
function measure(cell) {
  const { status, stdout } = spawnSync(process.execPath, [CELL, JSON.stringify(cell)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    // Each loads the model in the same way: the first must not pack weights for the others, nor leave twice the model in the cache.
    env: { RECGEMMA_PREPACK: '0', ...process.env },
  });
  return status === 0 ? JSON.parse(stdout) : undefined;
}

/** The whole numbers of a flag; none where it is empty or was not given. */
function numbers(flag, min) {
  const parts = (values[flag] ?? '').split(',').filter((part) => part !== '');
  const bad = parts.find((part) => !/^\d+$/.test(part) || Number(part) < min);
  if (bad !== undefined) {
    console.error(`error: --${flag} takes whole numbers, ${min} or more, with commas between; not "${bad}".`);
    process.exit(2);
  }
  return parts.map(Number);
}

function describe({ test, batch, prompt }) {
  return test === 'decode' ? `decode, batch ${batch}` : `prefill, ${prompt} tokens`;
}

function printTable(rows) {
  const lines = [
    ['', '', 'tokens/s', 'ms/step', 'GB/step', 'of the limit', 'resident GB'],
    ...rows.map((row) => [
      row.precision,
      describe(row),
      row.tokens_per_second.toFixed(1),
      ((1000 * row.seconds.median) / row.steps).toFixed(1),
      (row.bytes_per_step / 1e9).toFixed(2),
      `${(100 * row.share_of_limit).toFixed(0)} %`,
      (row.rss_bytes / 1e9).toFixed(2),
    ]),
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  for (const line of lines) {
    const cells = line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    console.log(cells.join('  ').trimEnd());
  }
  console.log(`Memory is read at ${most.toFixed(1)} GB/s.`);
}
