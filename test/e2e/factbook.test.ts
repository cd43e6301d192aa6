/** From a trained checkpoint in the package to text, as the README shows it. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { fixture } from '../checkpoint/digests.js';
import { temporaryFolder } from '../support/goldens.js';
import { jsonLines, NOT_BUILT, recgemma } from './run.js';

interface Expected {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
  readonly greedy_text: string;
}

it('the factbook Griffin says what DeepMind’s code says', { skip: NOT_BUILT }, async () => {
  const { griffin } = JSON.parse(await readFile(fixture('factbook/expected.json'), 'utf8')) as {
    griffin: { prompts: readonly Expected[] };
  };
  const model = join(await temporaryFolder(), 'griffin');
  const config = fixture('factbook/griffin/model-config.json');
  const checkpoint = fixture('factbook/griffin/checkpoint');
  const converted = await recgemma(['convert', checkpoint, '--model-config', config, '--out', model]);
  assert.equal(converted.status, 0, converted.stderr);

  const length = String(griffin.prompts[0]!.greedy_ids.length);
  const [first] = griffin.prompts;
  const plain = await recgemma(['sample', '-m', model, '-n', length, '-q'], { input: `${first!.prompt}\n` });
  assert.equal(plain.stdout, `${first!.greedy_text}\n`);

  const input = griffin.prompts.map(({ prompt }) => `${JSON.stringify({ prompt })}\n`).join('');
  const all = await recgemma(['sample', '-m', model, '--prompts', '-', '-n', length, '--json'], { input });
  const lines = jsonLines<{ index: number; prompt_ids: number[]; token_ids: number[]; text: string }>(all);
  assert.equal(lines.length, griffin.prompts.length);
  for (const { index, prompt_ids, token_ids, text } of lines) {
    const { prompt_ids: ids, greedy_ids, greedy_text } = griffin.prompts[index]!;
    assert.deepEqual([prompt_ids, token_ids, text], [ids, greedy_ids, greedy_text]);
  }
});
