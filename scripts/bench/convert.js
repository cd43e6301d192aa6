// Measures conversion at full size: npm run bench:convert [-- --keep] [-- --json FILE]
// Makes a random 2B checkpoint in the cache folder (once), converts it in a process of its own, loads it and samples from it.

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchCache } from './cache.js';
import { makeRandomCheckpoint } from './random-checkpoint.js';

const { values } = parseArgs({ options: { keep: { type: 'boolean' }, json: { type: 'string' } } });
const checkpoint = benchCache('random-2b');
const model = benchCache('random-2b-fp32');
const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url));

mkdirSync(benchCache(), { recursive: true });
console.error('random 2B checkpoint …');
const bytes = makeRandomCheckpoint(checkpoint);

console.error('convert …');
const conversion = await measure(['convert', checkpoint, '--out', model, '--force', '--json', '--quiet']);
console.error('sample …');
const sampling = await measure([
  'sample',
  '-m',
  model,
  '--prompt-ids',
  '2,651,9',
  '-n',
  '16',
  '--ignore-eos',
  '--json',
  '--quiet',
]);
const sampled = JSON.parse(sampling.stdout);

const result = {
  input_bytes: bytes,
  convert_seconds: conversion.seconds,
  convert_mb_per_second: bytes / 1e6 / conversion.seconds,
  convert_peak_rss_bytes: conversion.peakRss,
  sample_seconds: sampling.seconds,
  sample_tokens: sampled.token_ids.length,
  sample_tokens_per_second: sampled.timing.tokens_per_second,
  sample_peak_rss_bytes: sampling.peakRss,
};
if (!values.keep) rmSync(model, { recursive: true, force: true });
const text = `${JSON.stringify(result, null, 2)}\n`;
if (values.json) writeFileSync(values.json, text);
process.stdout.write(text);

/** Runs the built command and watches its resident memory (Linux). */
function measure(args) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(process.execPath, [run, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    let peakRss = 0;
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    const timer = setInterval(() => {
      peakRss = Math.max(peakRss, residentPeak(child.pid));
    }, 50);
    child.on('exit', (code) => {
      clearInterval(timer);
      if (code !== 0) return reject(new Error(`recgemma ${args[0]} ended with ${code}: ${stdout}`));
      resolve({ seconds: (performance.now() - started) / 1000, peakRss, stdout });
    });
  });
}

/** The highest resident memory that the kernel has seen, in bytes; 0 where there is no /proc. */
function residentPeak(pid) {
  try {
    return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
