/** The cache of packed weights: when it is filled, what it gives back, and what becomes of damaged, foreign and old entries. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as onnxruntime from 'onnxruntime-node';
import { Graph } from '../../src/graph/graph.js';
import { saveModel } from '../../src/graph/save.js';
import type { Onnxruntime } from '../../src/runtime/cpu-probe.js';
import { type LoadedModel, loadSession } from '../../src/runtime/load-session.js';
import { PrepackedEntry, type PrepackedKey } from '../../src/runtime/prepacked-cache.js';
import { temporaryFolder } from '../support/goldens.js';

const INPUT = 64;
const OUTPUT = 96;
const WEIGHTS = Int8Array.from({ length: INPUT * OUTPUT }, (_, i) => ((i * 37) % 255) - 127);
const ROW = Uint8Array.from({ length: INPUT }, (_, i) => (i * 91) % 256);
/** The product in whole numbers. */
const EXPECTED = Array.from({ length: OUTPUT }, (_, column) =>
  ROW.reduce((sum, value, i) => sum + (value - 128) * WEIGHTS[i * OUTPUT + column]!, 0),
);

/** A model folder with one int8 product. */
async function int8Model(): Promise<LoadedModel> {
  const folder = await temporaryFolder();
  const graph = new Graph('product');
  const x = graph.input('x', 'uint8', ['rows', INPUT]);
  const weights = graph.weight('weights', {
    dtype: 'int8',
    shape: [INPUT, OUTPUT],
    async *read() {
      yield new Uint8Array(WEIGHTS.buffer.slice(0));
    },
  });
  const one = graph.constant('float32', [], [1]);
  const [y] = graph.node(
    'product',
    'com.microsoft.MatMulIntegerToFloat',
    [x, weights, one, one, graph.constant('uint8', [], [128])],
    [{ dtype: 'float32', axes: ['rows', OUTPUT] }],
  );
  graph.output('y', y!);
  await saveModel(graph, folder, { producerVersion: '', metadata: {} });
  const modelFile = join(folder, 'model.onnx');
  const hash = createHash('sha256').update(folder).digest('hex');
  return { modelFile, hash, threads: 1, precision: 'int8', bytes: WEIGHTS.length, batch: 1 };
}

/** Loads and multiplies once. `loaded` names what was loaded: `model` (the folder itself), `saving` (the same, writing) or `packed`. */
async function load(model: LoadedModel, env: NodeJS.ProcessEnv) {
  const loaded: string[] = [];
  const notes: string[] = [];
  const recording: Onnxruntime = {
    ...onnxruntime,
    InferenceSession: {
      create: (file: string | Uint8Array, options: onnxruntime.InferenceSession.SessionOptions) => {
        if (typeof file === 'string') {
          const own = options.optimizedModelFilePath === undefined ? 'model' : 'saving';
          loaded.push(file === model.modelFile ? own : 'packed');
        }
        return onnxruntime.InferenceSession.create(file as string, options);
      },
    } as typeof onnxruntime.InferenceSession,
  };
  const session = await loadSession(recording, model, {
    env,
    minCachedBytes: 0,
    onNote: (note) => notes.push(note),
  });
  const { y } = await session.run({ x: new onnxruntime.Tensor('uint8', ROW, [1, INPUT]) });
  await session.release();
  assert.deepEqual([...(y!.data as Float32Array)], EXPECTED);
  return { loaded, notes };
}

const environment = async (more: NodeJS.ProcessEnv = {}) => ({
  RECGEMMA_CACHE: await temporaryFolder(),
  ...more,
});
const entries = (env: NodeJS.ProcessEnv) => readdir(join(env.RECGEMMA_CACHE!, 'prepacked'));

describe('packed weights', () => {
  it('are kept from the second load on, and give the same numbers', async () => {
    const model = await int8Model();
    const env = await environment();
    assert.deepEqual((await load(model, env)).loaded, ['model']);
    const second = await load(model, env);
    assert.deepEqual(second.loaded, ['saving', 'packed']);
    assert.match(second.notes.join(), /kept for the next time/);
    assert.deepEqual(await load(model, env), { loaded: ['packed'], notes: [] });
    assert.equal((await entries(env)).length, 1, 'nothing half-written is left');
  });

  it('are kept from the first load on where the user says so, even in CI', async () => {
    const env = await environment({ RECGEMMA_PREPACK: '1', CI: 'true' });
    assert.deepEqual((await load(await int8Model(), env)).loaded, ['saving', 'packed']);
  });

  it('are not kept in CI, where the user says so, for other precisions, or for small models', async () => {
    const model = await int8Model();
    for (const [change, more] of [
      [{}, { CI: 'true' }],
      [{}, { RECGEMMA_PREPACK: '0' }],
      [{ precision: 'int4' }, { RECGEMMA_PREPACK: '1' }],
    ] as const) {
      const env = await environment(more);
      for (const _ of [1, 2]) assert.deepEqual((await load({ ...model, ...change }, env)).loaded, ['model']);
      assert.deepEqual(await readdir(env.RECGEMMA_CACHE), []);
    }
    const env = await environment({ RECGEMMA_PREPACK: '1' });
    const session = await loadSession(onnxruntime, model, { env, onNote: assert.fail });
    await session.release();
    assert.deepEqual(await readdir(env.RECGEMMA_CACHE), []);
  });

  it('are never taken for another model', async () => {
    const model = await int8Model();
    const env = await environment({ RECGEMMA_PREPACK: '1' });
    await load(model, env);
    assert.deepEqual((await load({ ...model, hash: 'other' }, env)).loaded, ['saving', 'packed']);
    assert.equal((await entries(env)).length, 2);
  });

  it('that are damaged are removed, and the model loads without them', async () => {
    const model = await int8Model();
    const damages: Readonly<Record<string, (entry: string) => Promise<void>>> = {
      'data cut off': (entry) => truncate(join(entry, 'model.onnx.data'), 4096),
      'no data': (entry) => rm(join(entry, 'model.onnx.data')),
      'another graph': (entry) => writeFile(join(entry, 'model.onnx'), 'nonsense'),
      'record of another model': async (entry) => {
        const record = JSON.parse(await readFile(join(entry, 'entry.json'), 'utf8'));
        await writeFile(
          join(entry, 'entry.json'),
          JSON.stringify({ ...record, key: { ...record.key, model: '' } }),
        );
      },
      'no record': (entry) => rm(join(entry, 'entry.json')),
      'a graph that does not load': async (entry) => {
        const record = JSON.parse(await readFile(join(entry, 'entry.json'), 'utf8'));
        const sha256 = createHash('sha256').update('nonsense').digest('hex');
        await writeFile(join(entry, 'model.onnx'), 'nonsense');
        await writeFile(
          join(entry, 'entry.json'),
          JSON.stringify({ ...record, graph: { bytes: 8, sha256 } }),
        );
      },
    };
    for (const [name, damage] of Object.entries(damages)) {
      const env = await environment();
      await load(model, env);
      await load(model, env);
      const [entry] = await entries(env);
      await damage(join(env.RECGEMMA_CACHE, 'prepacked', entry!));
      const { loaded } = await load(model, env);
      assert.ok(loaded.at(-1) === 'model' || loaded.includes('saving'), `${name}: ${loaded}`);
      for (const _ of [1, 2]) await load(model, env);
      assert.deepEqual((await load(model, env)).loaded, ['packed'], `${name}: mended after two loads`);
    }
  });

  it('that cannot be written are a note', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'file');
    await writeFile(file, '');
    const { loaded, notes } = await load(await int8Model(), { RECGEMMA_CACHE: file, RECGEMMA_PREPACK: '1' });
    assert.deepEqual(loaded, ['model']);
    assert.match(notes.join(), /could not be kept: /);
  });

  it('are written by two at once without harm', async () => {
    const model = await int8Model();
    const env = await environment({ RECGEMMA_PREPACK: '1' });
    await Promise.all([1, 2, 3].map(() => load(model, env)));
    assert.deepEqual((await load(model, env)).loaded, ['packed']);
    assert.equal((await entries(env)).length, 1);
  });
});

describe('the cache', () => {
  const key = (change: Partial<PrepackedKey> = {}): PrepackedKey => ({
    model: 'a',
    onnxruntime: '1.30.0',
    machine: 'this',
    options: 'direct',
    ...change,
  });
  const GIB = 2 ** 30;

  /** An entry as the cache would write it, which claims to have `gib` GiB and was used `hours` ago. */
  async function pretend(
    cache: string,
    name: string,
    gib: number,
    hours: number,
    change: Partial<PrepackedKey> = {},
  ) {
    const record = {
      key: key({ model: name, ...change }),
      graph: { bytes: 0, sha256: '' },
      data: { bytes: gib * GIB },
    };
    await mkdir(join(cache, name), { recursive: true });
    await writeFile(join(cache, name, 'entry.json'), JSON.stringify(record));
    await age(join(cache, name, 'entry.json'), hours);
  }

  const age = (path: string, hours: number) => {
    const time = new Date(Date.now() - hours * 3600 * 1000);
    return utimes(path, time, time);
  };

  const write = async (graphFile: string) => {
    await writeFile(graphFile, 'graph');
    await writeFile(`${graphFile}.data`, 'data');
  };

  it('forgets other versions, what was given up, and what was unused for longest', async () => {
    const cache = await temporaryFolder();
    await pretend(cache, 'recent', 9, 1);
    await pretend(cache, 'older', 9, 2);
    await pretend(cache, 'oldest', 9, 3);
    await pretend(cache, 'version', 1, 0, { onnxruntime: '1.29.0' });
    for (const name of ['given-up.partial-x', 'begun.partial-y']) await mkdir(join(cache, name));
    await age(join(cache, 'given-up.partial-x'), 25);
    const entry = new PrepackedEntry(cache, key());
    assert.ok(await entry.make(1, write));
    const own = createHash('sha256').update(JSON.stringify(key())).digest('hex').slice(0, 32);
    assert.deepEqual(new Set(await readdir(cache)), new Set(['recent', 'older', 'begun.partial-y', own]));
  });

  it('refuses what is larger than itself, and leaves nothing of what fails', async () => {
    const cache = await temporaryFolder();
    const entry = new PrepackedEntry(cache, key());
    await assert.rejects(entry.make(9 * GIB, write), /too large for the cache/);
    await assert.rejects(
      entry.make(1, async (graphFile) => {
        await writeFile(graphFile, 'half');
        throw new Error('disk full');
      }),
      /disk full/,
    );
    assert.deepEqual(await readdir(cache), []);
  });

  it('remembers the use of an entry', async () => {
    const cache = await temporaryFolder();
    const entry = new PrepackedEntry(cache, key());
    const made = await entry.make(1, write);
    const record = join(made!.modelFile, '..', 'entry.json');
    await age(record, 5);
    await entry.find();
    assert.ok(Date.now() - (await stat(record)).mtimeMs < 3600 * 1000);
  });
});
