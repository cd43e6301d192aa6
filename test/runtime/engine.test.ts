/** The engine: loading, calls that make no sense, order, and closing. */

import assert from 'node:assert/strict';
import { cp, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { InputError, InterruptedError, RecgemmaError } from '../../src/errors.js';
import { Engine } from '../../src/runtime/engine.js';
import type { ForwardRequest } from '../../src/runtime/forward.js';
import { score } from '../../src/runtime/score.js';
import type { TokenId } from '../../src/tokenizer/tokenizer.js';
import { logitsAt } from '../support/forwarding.js';
import { gather } from '../support/gather.js';
import { convertGolden, goldenEngine, temporaryFolder } from '../support/goldens.js';

const CHECKPOINT = 'rg-tiny/hf-bf16';
const load = async () => Engine.load(await convertGolden(CHECKPOINT), { threads: 1 });

const request = (change: Partial<ForwardRequest> = {}): ForwardRequest => ({
  firstRow: 0,
  tokens: [[2, 3, 4]],
  asked: [{ row: 0, offset: 2 }],
  candidates: 3,
  logits: false,
  ...change,
});

const rejectsWith = (promise: Promise<unknown>, type: new (...args: never[]) => Error, message: RegExp) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof type, String(error));
    assert.match(error.message, message);
    return true;
  });

describe('an engine', () => {
  it('gives what was asked for, and no more', async () => {
    const engine = await goldenEngine(CHECKPOINT);
    await engine.clear(0);
    const nothing = await engine.forward(request({ asked: [] }));
    assert.deepEqual([nothing.topIds.length, nothing.logits], [0, undefined]);
    await engine.clear(0);
    const asked = [
      { row: 0, offset: 1, target: 9 },
      { row: 0, offset: 2 },
    ];
    const result = await engine.forward(request({ asked, logits: true }));
    assert.deepEqual([result.topLogits.length, result.topIds.length, result.logits!.length], [6, 6, 1024]);
    for (const [row, { target }] of asked.entries()) {
      const logits = result.logits!.subarray(row * 512, (row + 1) * 512);
      const best = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!).slice(0, 3);
      assert.deepEqual([...result.topIds.subarray(3 * row, 3 * row + 3)], best);
      assert.deepEqual(
        [...result.topLogits.subarray(3 * row, 3 * row + 3)],
        best.map((id) => logits[id]),
      );
      assert.equal(result.targetLogits[row], logits[target ?? 0]);
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      assert.ok(Math.abs(result.logSumExp[row]! - Math.log(total)) < 1e-5);
    }
  });

  it('gives no more candidates than there are tokens', async () => {
    const engine = await goldenEngine(CHECKPOINT);
    await engine.clear(0);
    const { topIds } = await engine.forward(request({ candidates: 1000 }));
    assert.equal(topIds.length, 512);
    assert.equal(new Set(topIds).size, 512);
  });

  it('answers calls in the order in which they were made', async () => {
    const engine = await goldenEngine(CHECKPOINT);
    const [expected] = await logitsAt(engine, [2, 3, 4, 5], [3], 1);
    void engine.clear(0);
    const calls = [2, 3, 4, 5].map((id) =>
      engine.forward(request({ tokens: [[id]], asked: [{ row: 0, offset: 0 }], logits: true })),
    );
    const answers = await Promise.all(calls);
    assert.deepEqual(answers.at(-1)!.logits, expected);
    assert.equal((await engine.export(0)).numTokens, 4);
  });

  it('exports a row that nobody has used as an empty one', async () => {
    const engine = await load();
    try {
      const fresh = await engine.export(3);
      await engine.clear(5);
      assert.deepEqual(fresh, await engine.export(5));
      assert.equal(fresh.tensors.get('past_key_values.0.recurrent_state')!.length, 40);
    } finally {
      await engine.close();
    }
  });

  it('counts the bytes of its state', async () => {
    const engine = await load();
    try {
      assert.equal(await engine.stateBytes(), 0);
      await engine.clear(1);
      const row = engine.folder.manifest.state.reduce((sum, { bytes_per_sequence: bytes }) => sum + bytes, 0);
      assert.equal(await engine.stateBytes(), 2 * row);
    } finally {
      await engine.close();
    }
  });
});

describe('a call that makes no sense', () => {
  it('with an id that the model has not is refused before it runs', async () => {
    const engine = await goldenEngine(CHECKPOINT);
    await engine.clear(0);
    for (const bad of [512, -1, 1.5, Number.NaN]) {
      const message = new RegExp(`^Token id ${bad} is not one of this model's, which are 0 to 511\\.$`);
      await rejectsWith((async () => engine.forward(request({ tokens: [[2, bad]] })))(), InputError, message);
      const asked = [{ row: 0, offset: 2, target: bad }];
      await rejectsWith((async () => engine.forward(request({ asked })))(), InputError, message);
    }
    assert.equal((await engine.export(0)).numTokens, 0);
  });

  it('is refused in scoring too, where the last token is never fed', async () => {
    const engine = await goldenEngine(CHECKPOINT);
    for (const bad of [512, -1]) {
      const requests = [{ id: 'x', contextIds: [2 as TokenId], continuationIds: [3, bad] as TokenId[] }];
      await rejectsWith(gather(score(engine, requests)), InputError, /^Token id /);
    }
  });

  it('without tokens, or without candidates, fails and harms nothing', async () => {
    const engine = await goldenEngine(CHECKPOINT);
    const [expected] = await logitsAt(engine, [2, 3, 4], [2]);
    for (const change of [{ tokens: [] }, { tokens: [[]] }, { candidates: 0 }]) {
      await rejectsWith(engine.forward(request(change)), RecgemmaError, /makes no sense/);
    }
    await rejectsWith(engine.forward(request({ asked: [{ row: 5, offset: 0 }] })), RecgemmaError, /.+/);
    assert.deepEqual((await logitsAt(engine, [2, 3, 4], [2]))[0], expected);
  });
});

describe('loading', () => {
  it('of a folder that is no model is refused with what makes one', async () => {
    const folder = await temporaryFolder();
    await assert.rejects(Engine.load(folder), (error) => {
      assert.ok(error instanceof InputError);
      assert.equal(error.message, `${folder} is not a model folder: it has no recgemma.json.`);
      assert.match(error.hint!, /recgemma convert CHECKPOINT/);
      return true;
    });
  });

  it('of a damaged model is refused by its file', async () => {
    const folder = join(await temporaryFolder(), 'model');
    await cp(await convertGolden(CHECKPOINT), folder, { recursive: true });
    const manifest = join(folder, 'recgemma.json');
    const text = await readFile(manifest, 'utf8');
    const { size } = await stat(join(folder, 'model.onnx'));
    await writeFile(join(folder, 'model.onnx'), 'nonsense');
    await rejectsWith(Engine.load(folder), InputError, /model\.onnx is cut off: it has 8 of \d+ bytes\.$/);
    await writeFile(join(folder, 'model.onnx'), 'nonsense'.padEnd(size));
    await assert.rejects(Engine.load(folder), (error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, /model\.onnx cannot be loaded: /);
      assert.match(error.hint!, /recgemma verify/);
      return true;
    });
    for (const [content, message] of [
      ['{', /recgemma\.json is not JSON/],
      ['null', /schema version undefined/],
      [text.replace('"schema_version": 1', '"schema_version": 2'), /schema version 2; this version reads 1/],
      ['{"schema_version": 1}', /is incomplete/],
    ] as const) {
      await writeFile(manifest, content);
      await rejectsWith(Engine.load(folder), InputError, message);
    }
  });

  it('ends when it is aborted', async () => {
    const folder = await convertGolden(CHECKPOINT);
    const controller = new AbortController();
    const loading = Engine.load(folder, { signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(loading, InterruptedError);
  });

  it('does not begin when it was aborted before', async () => {
    const folder = await convertGolden(CHECKPOINT);
    await assert.rejects(Engine.load(folder, { signal: AbortSignal.abort() }), InterruptedError);
  });
});

describe('a closed engine', () => {
  it('answers nothing more, and closes twice', async () => {
    const engine = await load();
    await engine.close();
    await engine.close();
    await rejectsWith(engine.forward(request()), RecgemmaError, /The model has been closed/);
    await rejectsWith(engine.export(0), RecgemmaError, /The model has been closed/);
  });

  it('lets no call wait forever', async () => {
    const engine = await load();
    const pending = engine.forward(request({ tokens: [new Array<number>(2000).fill(3)] }));
    await Promise.all([rejectsWith(pending, RecgemmaError, /closed/), engine.close()]);
  });
});
