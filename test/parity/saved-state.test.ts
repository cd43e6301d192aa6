/** A state that was saved and loaded goes on to the bit as the one that stayed; a state of another model is refused. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { InputError } from '../../src/errors.js';
import type { Engine } from '../../src/runtime/engine.js';
import { loadState, saveState } from '../../src/runtime/saved-state.js';
import { tokenId } from '../../src/tokenizer/tokenizer.js';
import { logitsAt } from '../support/forwarding.js';
import { goldenEngine, loadGolden, missing, temporaryFolder } from '../support/goldens.js';

const MODELS = ['rg-tiny/hf-bin-f32', 'hawk-tiny/dmtorch-f32.pt', 'mqa-tiny/dmtorch-f32.pt'];

/** Feeds tokens to row 0 as it is and returns all their logits. */
async function goOn(engine: Engine, tokens: readonly number[]): Promise<Float32Array> {
  const asked = tokens.map((_, offset) => ({ row: 0, offset }));
  const result = await engine.forward({ firstRow: 0, tokens: [tokens], asked, candidates: 1, logits: true });
  return result.logits!;
}

describe('a saved state', () => {
  for (const checkpoint of MODELS) {
    const model = checkpoint.split('/')[0]!;
    const skip = missing(`checkpoints/${checkpoint}`, `expected/${model}.json`);
    it(`of ${model} goes on to the bit`, { skip }, async () => {
      const engine = await goldenEngine(checkpoint);
      const tokens = (await loadGolden(model)).prompts.at(-1)!.tokens;
      const folder = await temporaryFolder();
      // Nothing yet, less than the window, just the window, and more.
      for (const length of [0, 1, 5, 16, 37]) {
        await logitsAt(engine, tokens.slice(0, length), []);
        const state = { row: await engine.export(0), pendingIds: [tokens[length]!] };
        const path = join(folder, `${length}.safetensors`);
        await saveState(path, engine.folder, state);
        const wanted = await goOn(engine, tokens.slice(length));
        const after = await engine.export(0);

        await engine.clear(0);
        await goOn(engine, [7, 8, 9]);
        const loaded = await loadState(path, engine.folder);
        assert.deepEqual(loaded, state);
        await engine.import(0, loaded.row);
        assert.deepEqual(await goOn(engine, tokens.slice(length)), wanted);
        assert.deepEqual(await engine.export(0), after);
      }
    });
  }

  it('of another model is refused, even where every shape fits', async () => {
    const exact = await goldenEngine('rg-tiny/hf-bin-f32');
    const rounded = await goldenEngine('rg-tiny/hf-bf16');
    const path = join(await temporaryFolder(), 'state.safetensors');
    await logitsAt(exact, [2, 3, 4], []);
    await saveState(path, exact.folder, { row: await exact.export(0), pendingIds: [tokenId(5)] });
    await assert.rejects(loadState(path, rounded.folder), (error) => {
      assert.ok(error instanceof InputError);
      assert.match(error.message, /is a state of another model than /);
      assert.deepEqual(error.details, { state: exact.folder.hash, model: rounded.folder.hash });
      return true;
    });
  });

  it('that was damaged, or is none, is refused', async () => {
    const engine = await goldenEngine('rg-tiny/hf-bin-f32');
    const path = join(await temporaryFolder(), 'state.safetensors');
    await logitsAt(engine, [2, 3, 4], []);
    await saveState(path, engine.folder, { row: await engine.export(0), pendingIds: [tokenId(5)] });
    const whole = await readFile(path);
    const text = whole.toString('latin1');
    const changed = (from: string, to: string) => {
      assert.ok(text.includes(from) && from.length === to.length);
      return Buffer.from(text.replace(from, to), 'latin1');
    };
    const cases: [content: Uint8Array, message: RegExp][] = [
      [whole.subarray(0, -1), /state\.safetensors/],
      [changed('recgemma.model_sha256', 'recgemma.model_sha257'), /is not a saved state of recgemma/],
      [changed('"recgemma.num_tokens":"3"', '"recgemma.num_tokens":"x"'), /how many tokens/],
      [
        changed('"recgemma.num_tokens":"3"', '"recgemma.num_tokens":"4"'),
        /past_key_values\.2\.key.*\[1, 4, 8\]/,
      ],
      [changed('"[5]"', '"[x]"'), /does not list the tokens/],
      [
        changed('past_key_values.0.conv_state', 'past_key_values.0.conv_stale'),
        /past_key_values\.0\.conv_state/,
      ],
    ];
    for (const [content, message] of cases) {
      await writeFile(path, content);
      await assert.rejects(loadState(path, engine.folder), (error) => {
        assert.ok(error instanceof InputError, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
  });
});
