/** Random weights of a preset's shapes: the same for a seed whatever is read when, distributed as they should be, and a sane model. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { convert } from '../../src/convert/convert.js';
import { openModel } from '../../src/convert/open-model.js';
import { UsageError } from '../../src/errors.js';
import { elementCount } from '../../src/graph/dtype.js';
import { castTensor, collect } from '../../src/graph/transform.js';
import { readModelFolder } from '../../src/manifest.js';
import { logitsAt } from '../support/forwarding.js';
import { loadEngine, temporaryFolder } from '../support/goldens.js';

const PRESET = 'griffin-tiny';

const openTiny = async (randomSeed: number) =>
  (await openModel({ randomSeed }, { preset: PRESET })).checkpoint;

/** The elements of one weight. */
async function weight(name: string, seed = 1): Promise<Float32Array> {
  const tensor = (await openTiny(seed)).tensors.get(name);
  assert.ok(tensor, name);
  return new Float32Array((await collect(castTensor(tensor, 'float32'))).buffer);
}

/** Moments of a sample: mean, standard deviation, and kurtosis, which is 3 for a normal distribution. */
function moments(values: Float32Array): { mean: number; deviation: number; kurtosis: number } {
  const average = (of: (x: number) => number) => values.reduce((sum, x) => sum + of(x), 0) / values.length;
  const mean = average((x) => x);
  const deviation = Math.sqrt(average((x) => (x - mean) ** 2));
  return { mean, deviation, kurtosis: average((x) => ((x - mean) / deviation) ** 4) };
}

/** A model folder of a small vocabulary. */
async function convertTiny(randomSeed: number): Promise<string> {
  const folder = await temporaryFolder();
  const modelConfig = join(folder, 'config.json');
  await writeFile(modelConfig, JSON.stringify({ vocab_size: 512 }));
  const out = join(folder, 'model');
  await convert({ checkpoint: { randomSeed }, preset: PRESET, modelConfig, out });
  return out;
}

describe('random weights', () => {
  it('have the names and shapes of the published checkpoint', async () => {
    const { checkpoint, model } = await openModel({ randomSeed: 0 }, { preset: 'recurrentgemma-2b' });
    // By hand: the vocabulary and the last norm; for each layer two norms and the MLP; recurrent blocks; attention blocks.
    const [v, d, mlp, block] = [256_000, 2560, 7680, 256];
    const layer = 2 * d + (2 * (d * mlp + mlp) + mlp * d + d);
    const recurrent = 3 * (d * d + d) + (4 * d + d) + d + 2 * (10 * block * block + d);
    const attention = 2 * d * d + 2 * d * block + d;
    const total = [...checkpoint.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
    assert.equal(total, v * d + d + 26 * layer + 18 * recurrent + 8 * attention);
    assert.deepEqual(checkpoint.tensors.get('blocks.25.mlp_block.ffw_up.w')?.shape, [2, d, mlp]);
    assert.deepEqual([model.family, model.vocabSize], ['griffin', v]);
  });

  it('depend on the seed and the name, not on what is read before', async () => {
    const checkpoint = await openTiny(1);
    const names = [...checkpoint.tensors.keys()].reverse();
    for (const name of names.filter((each) => each.startsWith('blocks.1.'))) {
      assert.deepEqual(
        await collect(checkpoint.tensors.get(name)!),
        await collect(checkpoint.tensors.get(name)!),
      );
      assert.deepEqual(
        new Float32Array((await collect(castTensor(checkpoint.tensors.get(name)!, 'float32'))).buffer),
        await weight(name),
        name,
      );
    }
    const down = await weight('blocks.0.mlp_block.ffw_down.kernel');
    assert.notDeepEqual(down, await weight('blocks.1.mlp_block.ffw_down.kernel'));
    assert.notDeepEqual(down, await weight('blocks.0.mlp_block.ffw_down.kernel', 2));
  });

  it('are the same forever', async () => {
    const first = (await weight('blocks.2.attention_block.proj_q.kernel', 7)).subarray(0, 4);
    // By an implementation in Python, written from the description.
    assert.deepEqual([...first], [0.1572265625, -0.08740234375, 0.056884765625, -0.00628662109375]);
  });

  for (const [name, fanIn] of [
    ['embedder.input_embedding', 128],
    ['blocks.0.mlp_block.ffw_up.w', 128],
    ['blocks.0.mlp_block.ffw_down.kernel', 384],
    ['blocks.0.recurrent_block.rg_lru.a_gate.w', 128],
    ['blocks.0.recurrent_block.linear_out.kernel', 256],
    ['blocks.2.attention_block.proj_k.kernel', 128],
  ] as const) {
    it(`are normal with variance 1 / fan-in in ${name}`, async () => {
      const values = await weight(name);
      const { mean, deviation, kurtosis } = moments(values);
      // Five standard errors of each estimate, and the 0.2 % by which bfloat16 may widen a distribution.
      const error = 5 / Math.sqrt(values.length);
      assert.ok(Math.abs(mean) * Math.sqrt(fanIn) < error, `mean ${mean}`);
      assert.ok(
        Math.abs(deviation * Math.sqrt(fanIn) - 1) < error / Math.SQRT2 + 0.002,
        `deviation ${deviation}`,
      );
      assert.ok(Math.abs(kurtosis - 3) < error * Math.sqrt(24) + 0.01, `kurtosis ${kurtosis}`);
    });
  }

  it('make the RG-LRU remember: a^8 is uniform in [0.9, 0.999]', async () => {
    const parameters = await weight('blocks.1.recurrent_block.rg_lru.a_param');
    const decays = [...parameters].map((p) => Math.exp(-8 * Math.log1p(Math.exp(p)))).sort((a, b) => a - b);
    // bfloat16's 8 bits of a_param move a^8 by at most 4 % of its distance from 1.
    assert.ok(decays[0]! > 0.895 && decays.at(-1)! < 0.9992, `${decays[0]} to ${decays.at(-1)}`);
    const distances = decays.map((a, i) => Math.abs((a - 0.9) / 0.099 - i / decays.length));
    // Kolmogorov and Smirnov: 1.95 / sqrt(n) in one of a thousand cases, and the rounding.
    assert.ok(Math.max(...distances) < 1.95 / Math.sqrt(decays.length) + 0.04, `${Math.max(...distances)}`);
  });

  it('are refused without a preset, or with one that does not exist', async () => {
    const refused = (preset: string | undefined, message: RegExp) =>
      assert.rejects(openModel({ randomSeed: 0 }, { preset }), (error) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, message);
        assert.match(error.hint!, /recurrentgemma-2b, /);
        return true;
      });
    await refused(undefined, /^Random weights need --preset/);
    await refused('gemma', /^There is no preset "gemma"\.$/);
  });
});

describe('a model of random weights', () => {
  it('says what it was made from', async () => {
    const { manifest } = await readModelFolder(await convertTiny(3));
    assert.deepEqual(manifest.source, {
      format: 'random',
      layout: 'flax',
      preset: PRESET,
      seed: 3,
      files: [],
    });
  });

  it('is the same file for the same seed, and another for another', async () => {
    const [one, again, other] = await Promise.all([3, 3, 4].map(convertTiny));
    const data = (folder: string) => readFile(join(folder, 'model.onnx.data'));
    assert.ok((await data(one!)).equals(await data(again!)));
    assert.ok(!(await data(one!)).equals(await data(other!)));
  });

  it('gives logits of normal size, however long the text', async () => {
    const engine = await loadEngine(await convertTiny(5));
    const tokens = Array.from({ length: 300 }, (_, i) => (i * 37) % 512);
    for (const logits of await logitsAt(engine, tokens, [0, 20, 299], 100)) {
      const { mean, deviation } = moments(logits);
      // A normed vector times independent weights of variance 1 / width is standard normal; the norm's scale is 1 within a few per cent.
      assert.ok(Math.abs(mean) < 0.3 && deviation > 0.8 && deviation < 1.2, `${mean} ± ${deviation}`);
    }
  });
});
