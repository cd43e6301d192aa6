/** Greedy texts, for tests that compare them. */

import assert from 'node:assert/strict';
import type { Engine } from '../../src/runtime/engine.js';
import { type GenerateRequest, generate, type ResultEvent } from '../../src/runtime/generate.js';
import { gather } from './gather.js';

/** Continues each prompt by its likeliest tokens, so many rows together; results in the order of the prompts. */
export async function continueGreedily(
  engine: Engine,
  prompts: readonly GenerateRequest['promptIds'][],
  { batch, maxTokens }: { readonly batch: number; readonly maxTokens: number },
): Promise<ResultEvent[]> {
  const requests = prompts.map((promptIds, i): GenerateRequest => ({ id: String(i), promptIds }));
  const events = await gather(generate(engine, requests, { temperature: 0, seed: 0, maxTokens, batch }));
  const results = events.filter((event) => event.kind === 'result');
  assert.equal(results.length, prompts.length);
  return results.sort((a, b) => a.index - b.index);
}
