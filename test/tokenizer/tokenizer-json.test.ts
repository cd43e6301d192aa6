/** `tokenizer.json` against Python's tokenizers, and which files are refused. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { InputError } from '../../src/errors.js';
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
  },
  { what: 'Llama’s kind', text: llamaText, recorded: llama.rows },
  {
    what: 'byte-level BPE',
    text: byteLevelText,
    recorded: recordedJson<Encoded[]>('bytelevel-ids.json'),
  },
];

for (const { what, text, recorded } of cases) {
  describe(what, () => {
    const tokenizer = jsonTokenizer(text, 'tokenizer.json');

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

test('both files of the Factbook’s tokenizer give the same ids for long text', () => {
  const bytes = readFileSync(path.join(FACTBOOK, 'tokenizer.model'));
  const fromModel = sentencePieceTokenizer(bytes, 'tokenizer.model');
  const fromJson = jsonTokenizer(factbookText, 'tokenizer.json');
  assert.equal(fromJson.vocabSize, fromModel.vocabSize);
  assert.equal(fromJson.bosId, fromModel.bosId);
  assert.deepEqual(fromJson.encode(heldout()), fromModel.encode(heldout()));
});

test('special tokens in a text are text, unless asked for', () => {
  for (const [text, token] of [
    [factbookText, '<bos>'],
    [byteLevelText, '<|endoftext|>'],
  ] as const) {
    const tokenizer = jsonTokenizer(text, 'tokenizer.json');
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

test('a special token of one character is not hit by chance', () => {
  const file = JSON.parse(factbookText) as { added_tokens: object[] };
  const added_tokens = [...file.added_tokens, { id: 2048, content: '§', special: true }];
  const tokenizer = jsonTokenizer(JSON.stringify({ ...file, added_tokens }), 'x');
  assert.deepEqual(tokenizer.encode('§', { bos: false, special: true }), [2048]);
  assert.equal(tokenizer.decode(tokenizer.encode('§')), '§');
});

test('BOS is added where the file’s template or the settings say so, once', () => {
  const gemma = jsonTokenizer(factbookText, 'x');
  assert.equal(gemma.encode('hi')[0], gemma.bosId);
  assert.equal(gemma.encode('<bos>hi', { special: true }).filter((id) => id === gemma.bosId).length, 1);
  const gpt = jsonTokenizer(byteLevelText, 'x', {
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
    test(what, () => {
      assert.throws(
        () => jsonTokenizer(text, 'folder/tokenizer.json'),
        (error) => error instanceof InputError && error.message.startsWith('folder/tokenizer.json'),
      );
    });
  }
});

describe('a part that is not supported is named', () => {
  type Change = Readonly<Record<string, unknown>>;
  const change = (text: string, part: Change, model: Change = {}) => {
    const file = JSON.parse(text) as { model: object };
    return JSON.stringify({ ...file, ...part, model: { ...file.model, ...model } });
  };
  const llama = (part: Change, model?: Change) => change(factbookText, part, model);
  const gpt = (part: Change, model?: Change) => change(byteLevelText, part, model);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  const split = (more: Change) => ({ type: 'Split', behavior: 'Isolated', invert: false, ...more });
  const after = (...pretokenizers: Change[]) => ({ pre_tokenizer: { type: 'Sequence', pretokenizers } });
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false };
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const text = { Sequence: { id: 'A', type_id: 0 } };
  const refused: readonly (readonly [string, RegExp])[] = [
    [llama({}, { type: 'WordPiece' }), /a model of type WordPiece/],
    [llama({}, { type: 'Unigram', vocab: [['a', -1]] }), /a model of type Unigram/],
    [llama({}, { dropout: 0.1 }), /"model.dropout" 0.1/],
    [gpt({}, { end_of_word_suffix: '</w>' }), /end_of_word_suffix/],
    [llama({}, { ignore_merges: true }), /ignore_merges/],
    [llama({ normalizer: { type: 'NFKC' } }), /the normalizer NFKC/],
    [llama({ normalizer: null }), /no normalizer/],
    [llama({ pre_tokenizer: { type: 'Whitespace' } }), /the pre_tokenizer Whitespace/],
    [llama({ normalizer: null, pre_tokenizer: { ...metaspace, split: true } }), /Metaspace/],
    [llama({ normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: '▁' } }), /Metaspace/],
    [llama({ decoder: { type: 'Metaspace' } }), /the decoder Metaspace/],
    [llama({ decoder: null }), /no decoder/],
    [gpt({ normalizer: { type: 'Lowercase' } }), /the normalizer Lowercase/],
    [gpt({ pre_tokenizer: { type: 'Metaspace' } }), /the pre_tokenizer Metaspace/],
    [gpt(after({ type: 'Digits', individual_digits: true }, byteLevel)), /Digits, ByteLevel/],
    [gpt(after(split({ pattern: { Regex: '\\w+' } }), byteLevel)), /a Split by .*\\w/],
    [
      gpt(after(split({ pattern: { Regex: 'a' }, behavior: 'Removed' }), byteLevel)),
      /not Isolated but Removed/,
    ],
    [
      gpt(after(split({ pattern: { Regex: 'a' } }), { ...byteLevel, add_prefix_space: true })),
      /before each word/,
    ],
    [gpt({ decoder: { type: 'WordPiece' } }), /the decoder WordPiece/],
    [gpt({}, { vocab: { a: 0 }, merges: [] }), /no piece for the byte 0/],
    [gpt({ post_processor: { type: 'RobertaProcessing' } }), /the post_processor RobertaProcessing/],
    [
      gpt({ post_processor: { type: 'TemplateProcessing', single: [special('a'), special('b'), text] } }),
      /puts a b before/,
    ],
    [gpt({ added_tokens: [{ id: 600, content: '<mask>', lstrip: true }] }), /"<mask>" with "lstrip"/],
  ];
  for (const [index, [file, reason]] of refused.entries()) {
    test(`${reason} (${index})`, () => {
      assert.throws(
        () => jsonTokenizer(file, 'folder/tokenizer.json'),
        (error) =>
          error instanceof InputError &&
          error.message.startsWith('folder/tokenizer.json cannot be read: it has ') &&
          reason.test(error.message) &&
          error.hint !== undefined,
      );
    });
  }

  test('what does not change a text is no obstacle', () => {
    const plain = jsonTokenizer(byteLevelText, 'x').encode('The Government, 1994');
    for (const same of [
      gpt({ normalizer: { type: 'Sequence', normalizers: [] } }),
      gpt({ post_processor: { type: 'Sequence', processors: [{ type: 'ByteLevel' }] } }),
      gpt({ post_processor: { type: 'TemplateProcessing', single: [text, special('<|endoftext|>')] } }),
      gpt({}, { type: undefined }),
      gpt(after({ type: 'ByteLevel', add_prefix_space: false })),
    ]) {
      assert.deepEqual(jsonTokenizer(same, 'x').encode('The Government, 1994'), plain);
    }
  });

  test('tokens of tokenizer_config.json that the file lacks are added to it', () => {
    const addedTokens = {
      0: { content: '<|endoftext|>', special: true },
      500: { content: '<|user|>', special: true },
    };
    const tokenizer = jsonTokenizer(byteLevelText, 'x', { addedTokens });
    assert.equal(tokenizer.vocabSize, 501);
    assert.deepEqual(tokenizer.encode('<|user|>', { special: true }), [500]);
  });
});
