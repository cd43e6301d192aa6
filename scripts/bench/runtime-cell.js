// One cell of runtime.js, in a process of its own so that its memory is that model's: loads a model folder and measures decoding or
// prefill. Takes the cell as JSON in its only argument, and writes what it measured as JSON.

import { elementCount } from '../../dist/graph/dtype.js';
import { Engine } from '../../dist/index.js';
import { hasSlots, stateBytes, usedShape } from '../../dist/models/state-tensor.js';
import { schedule } from '../../dist/runtime/scheduler.js';

const WARM_UP_STEPS = 2;
const WARM_UP_TOKENS = 128;
const FEWEST_STEPS = 8;
const PREFILL_RUNS = 3;
/** After this many seconds a prompt is not run once more. */
const PREFILL_SECONDS = 10;
/** Tokens that a state is really made of; the rest of its rings is these again. */
const REAL_TOKENS = 64;

/** What the head is asked for. */
const GREEDY = { candidates: 1, logits: false };

const { folder, test, batch, prompt, context, threads, seconds } = JSON.parse(process.argv[2]);

const started = performance.now();
const engine = await Engine.load(folder, { batch, threads });
const loadSeconds = secondsSince(started);
const loadedRss = process.memoryUsage.rss();
const { files, state, vocab_size: vocabSize } = engine.folder.manifest;

const { times, tokens, steps, tokensPerRun } = test === 'decode' ? await decode() : await readPrompt();
times.sort((a, b) => a - b);
const median = times[times.length >> 1];
const modelBytes = files['model.onnx.data'].bytes;
// A prompt's steps find the rings half full on average.
const rowBytes = stateBytes(state, test === 'decode' ? context : prompt / 2);
console.log(
  JSON.stringify({
    tokens,
    tokens_per_second: tokensPerRun / median,
    // The embedding is the head too, and counted once: what is looked up in it is nothing beside that.
    bytes_per_step: modelBytes + batch * rowBytes,
    rss_bytes: process.memoryUsage.rss(),
    steps,
    seconds: { median, min: times[0], max: times.at(-1), count: times.length },
    model_bytes: modelBytes,
    state_bytes_per_row: rowBytes,
    load_seconds: loadSeconds,
    loaded_rss_bytes: loadedRss,
  }),
);
await engine.close();

/** Steps of all rows together, greedily, each row with `context` tokens behind it. */
async function decode() {
  await fillRows();
  const asked = Array.from({ length: batch }, (_, row) => ({ row, offset: 0 }));
  let next = tokenIds(batch).map((id) => [id]);
  const step = async () => {
    const start = performance.now();
    const { topIds } = await engine.forward({ firstRow: 0, tokens: next, asked, ...GREEDY });
    next = Array.from(topIds, (id) => [id]);
    return secondsSince(start);
  };
  for (let i = 0; i < WARM_UP_STEPS; i++) await step();
  const start = performance.now();
  const times = [];
  while (times.length < FEWEST_STEPS || secondsSince(start) < seconds) times.push(await step());
  return { times, tokens: batch * times.length, steps: 1, tokensPerRun: batch };
}

/** One prompt from the empty state, cut into steps as the library does it. */
async function readPrompt() {
  let steps = 0;
  const forward = engine.forward.bind(engine);
  engine.forward = (request) => {
    steps++;
    return forward(request);
  };
  await prefill(WARM_UP_TOKENS);
  const start = performance.now();
  const times = [];
  do {
    steps = 0;
    const runStart = performance.now();
    await prefill(prompt);
    times.push(secondsSince(runStart));
  } while (times.length < PREFILL_RUNS && secondsSince(start) < PREFILL_SECONDS);
  return { times, tokens: prompt, steps, tokensPerRun: prompt };
}

/** Gives every row `context` tokens that nobody paid for: some real ones, their keys and values again and again in all slots. */
async function fillRows() {
  if (context === 0) return;
  await prefill(Math.min(context, REAL_TOKENS));
  const { tensors } = await engine.export(0);
  for (const tensor of state.filter(hasSlots)) {
    const real = tensors.get(tensor.input);
    const [heads, slots, ...rest] = usedShape(tensor, context);
    const filled = new real.constructor(elementCount([heads, slots, ...rest]));
    for (let head = 0; head < heads; head++) {
      const [of, to] = [real, filled].map((array) => {
        const length = array.length / heads;
        return array.subarray(head * length, (head + 1) * length);
      });
      for (let at = 0; at < to.length; at += of.length) to.set(of.subarray(0, to.length - at), at);
    }
    tensors.set(tensor.input, filled);
  }
  await engine.import(0, { numTokens: context, tensors });
  for (let row = 1; row < batch; row++) await engine.copy(0, row);
}

/** Feeds the first row so many tokens, from the empty state. */
async function prefill(length) {
  const sequence = { tokens: tokenIds(length), askFrom: length };
  const reports = schedule(engine, [sequence], { batch: 1, needs: GREEDY });
  while (!(await reports.next()).done);
}

/** Some token ids, the same ones each time. */
function tokenIds(count) {
  return Array.from({ length: count }, (_, i) => (i * 7919 + 13) % vocabSize);
}

function secondsSince(start) {
  return (performance.now() - start) / 1000;
}
