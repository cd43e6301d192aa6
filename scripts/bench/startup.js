// Measures how long the command line takes to answer: npm run bench:startup

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const RUNS = 15;
const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const cases = { 'node, nothing': ['-e', '0'], '--help': [run, '--help'], '--version': [run, '--version'] };

// Interleaved, so that drift of the machine reaches all alike.
const times = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
for (let i = 0; i < RUNS; i++) {
  for (const [name, args] of Object.entries(cases)) {
    const started = performance.now();
    spawnSync(process.execPath, args);
    times[name].push(performance.now() - started);
  }
}
for (const [name, all] of Object.entries(times)) {
  const sorted = all.toSorted((a, b) => a - b);
  const [least, median, most] = [sorted[0], sorted[RUNS >> 1], sorted[RUNS - 1]].map((ms) => ms.toFixed(0));
  console.log(`${name}: median ${median} ms of ${RUNS} runs (${least} to ${most})`);
}
