/** Which folder a path means: the checkpoint itself, or one of those that Orbax and Kaggle put around it. */

import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { findCheckpoint, looksLikeOrbax } from '../../../src/checkpoint/orbax/find-checkpoint.js';
import { openOrbax } from '../../../src/checkpoint/orbax/orbax.js';
import { InputError } from '../../../src/errors.js';
import { fixture } from '../digests.js';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'recgemma-find-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Puts a small checkpoint at a path below the root. */
async function put(path: string, source = 'ocdbt-numbered'): Promise<void> {
  await cp(fixture(`orbax/${source}`), join(root, path), { recursive: true });
}

async function finds(given: string, found: string): Promise<void> {
  const place = await findCheckpoint(join(root, given));
  assert.equal(place.path, join(root, found));
  assert.equal(await looksLikeOrbax(join(root, given)), true);
}

describe('findCheckpoint', () => {
  for (const item of ['default', 'params', 'state', 'items']) {
    it(`finds the item ${item}`, async () => {
      await put(`run/${item}`);
      await finds('run', `run/${item}`);
    });
  }

  it('takes the weights before the training state', async () => {
    await put('run/state');
    await put('run/params');
    await finds('run', 'run/params');
  });

  it('takes the newest step, by number', async () => {
    await put('run/3/default');
    await put('run/12/default');
    await finds('run', 'run/12/default');
    await finds('run/3', 'run/3/default');
  });

  it('passes over a newer step that was never finished', async () => {
    await put('run/3/default');
    await put('run/12.orbax-checkpoint-tmp-5/default');
    await finds('run', 'run/3/default');
  });

  it('finds the variant in a download, beside a tokenizer', async () => {
    await put('2b-it/1/2b-it');
    await writeFile(join(root, '2b-it/1/tokenizer.model'), 'x');
    await finds('2b-it/1', '2b-it/1/2b-it');
    await finds('2b-it', '2b-it/1/2b-it');
  });

  it('finds folders of zarr arrays, and MessagePack files', async () => {
    await put('zarr', 'zarr3');
    await put('flax', 'flax-msgpack');
    await finds('zarr', 'zarr');
    await finds('flax', 'flax/checkpoint_10');
    await finds('flax/checkpoint_9', 'flax/checkpoint_9');
  });

  it('refuses to choose between two', async () => {
    await put('2b');
    await put('2b-it');
    await assert.rejects(findCheckpoint(root), (error: unknown) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, /holds 2 Orbax checkpoints: ".*2b", ".*2b-it"/);
      return true;
    });
    assert.equal(await looksLikeOrbax(root), true);
  });

  it('knows what is no Orbax checkpoint', async () => {
    await mkdir(join(root, 'empty'));
    await writeFile(join(root, 'checkpoint'), 'model_checkpoint_path: "a TensorFlow checkpoint"');
    assert.equal(await looksLikeOrbax(root), false);
    assert.equal(await looksLikeOrbax(join(root, 'checkpoint')), false);
    assert.equal(await looksLikeOrbax(join(root, 'nothing')), false);
    assert.equal(await looksLikeOrbax(fixture('goldens/checkpoints/rg-tiny/hf-sharded-bf16')), false);
    assert.equal(await looksLikeOrbax(fixture('goldens/checkpoints/rg-tiny/dmtorch-bf16.pt')), false);
    await assert.rejects(openOrbax(root), InputError);
  });
});
