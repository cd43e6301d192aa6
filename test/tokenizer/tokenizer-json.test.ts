/** `tokenizer.json` against Python's tokenizers, by our own code and by the library. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { InputError } from '../../src/errors.js';
import { jsonBpeVocabulary } from '../../src/tokenizer/json-bpe.js';
import { parseTokenizerFile } from '../../src/tokenizer/json-format.js';
import { sentencePieceTokenizer } from '../../src/tokenizer/sentencepiece.js';
import type { TokenId } from '../../src/tokenizer/tokenizer.js';
import { jsonTokenizer } from '../../src/tokenizer/tokenizer-json.js';
import { type Encoded, FACTBOOK, heldout, recordedBytes, recordedJson } from './recorded.js';

const factbookText = recordedBytes('factbook-tokenizer.json').toString('utf8');
const byteLevelText = recordedBytes('bytelevel.json').toString('utf8');

const llama = recordedJson<{ readonly patch: object; readonly rows: Encoded[] }>('llama-json.json');
const llamaText = JSON.stringify({ ...JSON.parse(factbookText), ...llama.patch });

const cases = [
  {
    what: 'Gemma’s kind',
    text: factbookText,
    recorded: recordedJson<Encoded[]>('factbook-hf.json'),
    ours: true,
  },
  { what: 'Llama’s kind', text: llamaText, recorded: llama.rows, ours: true },
  {
    what: 'byte-level BPE, by the library',
    text: byteLevelText,
    recorded: recordedJson<Encoded[]>('bytelevel-ids.json'),
    ours: false,
  },
];

for (const { what, text, recorded, ours } of cases) {
  describe(what, async () => {
    const tokenizer = await jsonTokenizer(text, 'tokenizer.json');

    test('takes the way that it should', () => {
      assert.equal(jsonBpeVocabulary(parseTokenizerFile(text, 'x'), 'x') !== undefined, ours);
    });

    test('gives the ids and texts of Python', () => {
      assert.ok(recorded.length > 100);
      for (const row of recorded) {
        // Python's tokenizers takes special tokens in a text for what they say.
        assert.deepEqual(
          tokenizer.encode(row.text, { bos: false, special: true }),
          row.ids,
          JSON.stringify(row.text),
        );
        assert.equal(
          tokenizer.decode(row.ids, { skipSpecial: false }),
          row.decoded,
          JSON.stringify(row.text),
        );
      }
    });

    test('streams what it decodes, in whole characters', () => {
      for (const { text, ids, decoded } of recorded) {
        const decoder = tokenizer.decoder({ skipSpecial: false });
        const pieces = [...ids.map((id) => decoder.push(id)), decoder.end()];
        assert.equal(pieces.join(''), decoded);
        if (!text.includes('\ufffd')) assert.ok(!pieces.some((piece) => piece.includes('\ufffd')), text);
      }
    });

    test('decodes no ids, and ids that it lacks, to nothing', () => {
      assert.equal(tokenizer.decode([]), '');
      assert.equal(tokenizer.decode([tokenizer.vocabSize as TokenId]), '');
      assert.equal(tokenizer.decoder().end(), '');
    });
  });
}

test('both files of the Factbook’s tokenizer give the same ids for long text', async () => {
  const bytes = readFileSync(path.join(FACTBOOK, 'tokenizer.model'));
  const fromModel = sentencePieceTokenizer(bytes, 'tokenizer.model');
  const fromJson = await jsonTokenizer(factbookText, 'tokenizer.json');
  assert.equal(fromJson.vocabSize, fromModel.vocabSize);
  assert.equal(fromJson.bosId, fromModel.bosId);
  assert.deepEqual(fromJson.encode(heldout()), fromModel.encode(heldout()));
});

test('special tokens in a text are text, unless asked for', async () => {
  for (const [text, token] of [
    [factbookText, '<bos>'],
    [byteLevelText, '<|endoftext|>'],
  ] as const) {
    const tokenizer = await jsonTokenizer(text, 'tokenizer.json');
    const id = tokenizer.idOf(token)!;
    const plain = tokenizer.encode(`a${token}b`, { bos: false });
    assert.ok(plain.length > 3 && !plain.includes(id));
    assert.equal(tokenizer.decode(plain), `a${token}b`);
    const meant = tokenizer.encode(`a${token}b`, { bos: false, special: true });
    assert.ok(meant.includes(id));
    assert.equal(tokenizer.decode(meant), 'ab');
    assert.equal(tokenizer.decode(meant, { skipSpecial: false }), `a${token}b`);
  }
});

test('a special token of one character is not hit by chance', async () => {
  const file = JSON.parse(factbookText) as { added_tokens: object[] };
  const added_tokens = [...file.added_tokens, { id: 2048, content: '§', special: true }];
  const tokenizer = await jsonTokenizer(JSON.stringify({ ...file, added_tokens }), 'x');
  assert.deepEqual(tokenizer.encode('§', { bos: false, special: true }), [2048]);
  assert.equal(tokenizer.decode(tokenizer.encode('§')), '§');
});

test('BOS is added where the file’s template or the settings say so, once', async () => {
  const gemma = await jsonTokenizer(factbookText, 'x');
  assert.equal(gemma.encode('hi')[0], gemma.bosId);
  assert.equal(gemma.encode('<bos>hi', { special: true }).filter((id) => id === gemma.bosId).length, 1);
  const gpt = await jsonTokenizer(byteLevelText, 'x', {
    bosToken: '<|endoftext|>',
    eosToken: '<|endoftext|>',
  });
  assert.deepEqual([gpt.bosId, gpt.eosIds], [0, [0]]);
  assert.notEqual(gpt.encode('hi')[0], 0);
  assert.deepEqual(gpt.encode('hi', { bos: true }), [0, ...gpt.encode('hi')]);
});

describe('a tokenizer.json is refused, and its name said', () => {
  const factbook = JSON.parse(factbookText) as { model: Record<string, unknown> } & Record<string, unknown>;
  const changed = (change: Record<string, unknown>, model: Record<string, unknown> = {}) =>
    JSON.stringify({ ...factbook, ...change, model: { ...factbook.model, ...model } });
  const bad: Readonly<Record<string, string>> = {
    'an empty file': '',
    'JSON cut short': factbookText.slice(0, 5000),
    'JSON that is a list': '[1, 2]',
    'JSON nested too deep': '['.repeat(100_000),
    'no model': '{"added_tokens": []}',
    'added tokens that are no list': changed({ added_tokens: { a: 1 } }),
    'an added token without id': changed({ added_tokens: [{ content: 'x' }] }),
    'an added token with an id far away': changed({ added_tokens: [{ content: 'x', id: 2 ** 40 }] }),
    'a vocabulary that is a list': changed({}, { vocab: ['a', 'b'] }),
    'an id that is a fraction': changed({}, { vocab: { a: 0.5 } }),
    'an id far away': changed({}, { vocab: { a: 2 ** 31 } }),
    'merges that are no list': changed({}, { merges: 7 }),
    'a merge of unknown pieces': changed({}, { merges: [['no such', 'piece']] }),
    'a merge of three': changed({}, { merges: ['a b c'] }),
    'a merge that is a number': changed({}, { merges: [5] }),
    'a model that nobody knows': JSON.stringify({ ...factbook, model: { type: 'Oracle' } }),
    'parts missing': '{"model": {"type": "BPE"}}',
  };
  for (const [what, text] of Object.entries(bad)) {
    test(what, async () => {
      await assert.rejects(
        jsonTokenizer(text, 'folder/tokenizer.json'),
        (error) => error instanceof InputError && error.message.startsWith('folder/tokenizer.json'),
      );
    });
  }
});
