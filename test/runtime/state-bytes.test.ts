/** The bytes that are told of a state beside those that are really allocated for it, of every family. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from '../../src/inspect/inspect.js';
import { BatchState } from '../../src/runtime/batch-state.js';
import { convertGolden, loadEngine, missing } from '../support/goldens.js';

/** One tiny model of each kind of state: rings, rings of several heads, caches, recurrences of both kinds. */
const GOLDENS = [
  'rg-tiny/hf-bf16',
  'hawk-tiny/dmtorch-f32.pt',
  'gemma-mqa-tiny/hf-bf16',
  'gemma-mha-tiny/hf-f32',
  'mistral-tiny/hf-sharded-f32',
  'llama-tiny/hf-f32',
  'mamba-tiny/hf-f32',
];

/** Models of the table in docs/benchmarks.md. */
const PRESETS = [
  'recurrentgemma-2b',
  'recurrentgemma-9b',
  'gemma-2b',
  'gemma-7b',
  'mistral-7b-v0.1',
  'mqa-paper-6b',
  'mamba-2.8b',
];

describe('the state after some tokens', () => {
  for (const golden of GOLDENS) {
    it(`takes the memory that inspect tells: ${golden}`, {
      skip: missing(`checkpoints/${golden}`),
    }, async () => {
      const folder = await convertGolden(golden);
      const contexts = [64, 128, 256, 512, 768];
      const report = await inspect(folder, { contexts });
      const engine = await loadEngine(folder);
      await engine.clear(0);
      let seen = 0;
      for (const { context, state_bytes: told } of report.state!.sizes) {
        const tokens = [Array.from({ length: context - seen }, (_, i) => (7 * i) % 500)];
        await engine.forward({ firstRow: 0, tokens, asked: [], candidates: 1, logits: false });
        seen = context;
        assert.equal(await engine.stateBytes(), told, `${context} tokens`);
      }
    });
  }

  for (const preset of PRESETS) {
    for (const precision of ['fp32', 'int8']) {
      it(`takes the memory that inspect tells: ${preset} in ${precision}`, async () => {
        // 32768 tokens of Gemma-7B are 30 GB in float32; arrays of zeros take none until they are written to, but must be addressable.
        const contexts = preset === 'gemma-7b' ? [2048, 8192] : [2048, 8192, 32_768];
        const { state } = await inspect(`preset:${preset}:${precision}`, { contexts });
        const allocated = contexts.map((numTokens) => {
          const batch = new BatchState(state!.tensors);
          batch.reserve(1);
          batch.import(0, { numTokens, tensors: new Map() });
          return batch.bytes;
        });
        assert.deepEqual(
          allocated,
          state!.sizes.map(({ state_bytes: bytes }) => bytes),
        );
      });
    }
  }
});
