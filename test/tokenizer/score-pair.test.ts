/** Pairs of texts to score, as lm-evaluation-harness encodes them. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.js';
import { pairIds, prefixId } from '../../src/tokenizer/score-pair.js';
import type { TokenId } from '../../src/tokenizer/tokenizer.js';
import { jsonTokenizer } from '../../src/tokenizer/tokenizer-json.js';
import { recordedBytes, recordedJson } from './recorded.js';

const rows =
  recordedJson<
    readonly {
      readonly tokenizer: string;
      readonly context: string;
      readonly continuation: string;
      readonly contextIds: TokenId[];
      readonly continuationIds: TokenId[];
    }[]
  >('family-pairs.json');

describe('a context and its continuation', () => {
  for (const name of ['mistral', 'llama3', 'neox']) {
    test(name, () => {
      const tokenizer = jsonTokenizer(recordedBytes(`${name}.json`).toString(), name);
      const own = rows.filter((row) => row.tokenizer === name);
      assert.ok(own.length > 10);
      for (const { context, continuation, contextIds, continuationIds } of own) {
        const made = pairIds(tokenizer, context, continuation);
        assert.deepEqual(made, { contextIds, continuationIds }, JSON.stringify(context));
      }
    });
  }
});

test('what stands before a text that nothing precedes is BOS, or else EOS', () => {
  const text = recordedBytes('bytelevel.json').toString();
  const named = (bosToken?: string, eosToken?: string) =>
    jsonTokenizer(text, 'x', { ...(bosToken && { bosToken }), ...(eosToken && { eosToken }) });
  assert.equal(prefixId(named('<|im_end|>', '<|endoftext|>')), 1);
  assert.equal(prefixId(named(undefined, '<|im_end|>')), 1);
  assert.equal(prefixId(named()), 0);
  const nameless = jsonTokenizer(
    JSON.stringify({ ...JSON.parse(text), added_tokens: [] }).replace('<|endoftext|>', 'x<|'),
    'x',
  );
  assert.throws(() => pairIds(nameless, '', 'a'), UsageError);
});
