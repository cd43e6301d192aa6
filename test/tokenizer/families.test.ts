/** The tokenizers of Mistral, Llama 2, Llama 3 and Mamba against Python's libraries (scripts/fixtures/tokenizer_families.py). */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sentencePieceTokenizer } from '../../src/tokenizer/sentencepiece.js';
import { GPT2_SPLIT, isolate, splitPattern } from '../../src/tokenizer/split-pattern.js';
import type { TokenId, Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { jsonTokenizer } from '../../src/tokenizer/tokenizer-json.js';
import { type Encoded, heldout, recordedBytes, recordedJson } from './recorded.js';

interface Recorded {
  /** What makes the file one of this variant. */
  readonly patch?: object;
  readonly encoded: readonly Encoded[];
  readonly decoded: readonly {
    readonly ids: TokenId[];
    readonly text: string;
    /** What Python's streaming decoder gives after each id. */
    readonly steps: readonly string[];
  }[];
  /** What the pre-tokenizer makes of texts. */
  readonly splits?: readonly (readonly string[])[];
}

function fromJson(name: string, patch: object = {}): Tokenizer {
  const file = recordedJson<Record<string, unknown>>(`${name}.json`);
  return jsonTokenizer(JSON.stringify({ ...file, ...patch }), `${name}.json`);
}

const cases = [
  ['Mistral and Llama 2: a space before each stretch, by the normalizer', 'mistral', 'mistral-legacy-hf'],
  ['Mistral 0.3: a space before the text, by the pre-tokenizer', 'mistral', 'mistral-first-hf'],
  ['a space before each stretch, by the pre-tokenizer', 'mistral', 'mistral-always-hf'],
  ['Llama 3: byte-level, with words that no merges lead to', 'llama3', 'llama3-hf'],
  ['GPT-NeoX and Mamba: byte-level, with runs of spaces', 'neox', 'neox-hf'],
] as const;

for (const [what, name, rows] of cases) {
  describe(what, () => {
    const recorded = recordedJson<Recorded>(`${rows}.json`);
    const tokenizer = fromJson(name, recorded.patch);

    test('gives the ids and texts of Python', () => {
      assert.ok(recorded.encoded.length > 200);
      for (const { text, ids, decoded } of recorded.encoded) {
        assert.deepEqual(tokenizer.encode(text, { bos: false, special: true }), ids, JSON.stringify(text));
        assert.equal(tokenizer.decode(ids, { skipSpecial: false }), decoded, JSON.stringify(text));
      }
    });

    test('decodes as Python does, and streams no later', () => {
      assert.ok(recorded.decoded.length > 60);
      for (const { ids, text, steps } of recorded.decoded) {
        assert.equal(tokenizer.decode(ids), text, `${ids}`);
        const decoder = tokenizer.decoder();
        const ours = { text: '' };
        const theirs = { text: '' };
        for (const [index, id] of ids.entries()) {
          ours.text += decoder.push(id);
          theirs.text += steps[index];
          assert.ok(ours.text.startsWith(theirs.text), `${ids}, after ${index + 1}`);
        }
        assert.equal(ours.text + decoder.end(), text, `${ids}, streamed`);
      }
    });

    test('a text comes back whole, and is streamed in whole characters', () => {
      const text = `${heldout().slice(0, 5000)} né 👩‍👩‍👧‍👦 日本\n\n  x`;
      const ids = tokenizer.encode(text);
      const decoder = tokenizer.decoder();
      const pieces = [...ids.map((id) => decoder.push(id)), decoder.end()];
      assert.equal(pieces.join(''), text);
      for (const piece of pieces) assert.doesNotMatch(piece, /\p{Surrogate}|\ufffd/u);
    });

    test('what goes on from ids is what they and it give together', () => {
      for (const { ids } of recorded.encoded) {
        const cut = ids.length >> 1;
        const [before, rest] = [ids.slice(0, cut), ids.slice(cut)];
        const first = tokenizer.decode(before);
        if (first.endsWith('\ufffd')) continue; // half a character, which is given with what completes it
        assert.equal(first + tokenizer.decode(rest, { after: before }), tokenizer.decode(ids));
      }
    });
  });
}

test('Mistral’s tokenizer.model gives the ids and texts of sentencepiece', () => {
  const tokenizer = sentencePieceTokenizer(recordedBytes('mistral.model'), 'mistral.model');
  const { encoded, decoded } = recordedJson<Recorded>('mistral-spm.json');
  for (const { text, ids, decoded } of encoded) {
    assert.deepEqual(tokenizer.encode(text, { bos: false }), ids, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids), decoded, JSON.stringify(text));
  }
  for (const { ids, text } of decoded) assert.equal(tokenizer.decode(ids), text, `${ids}`);
  assert.deepEqual([tokenizer.bosId, tokenizer.eosIds], [1, [2]]);
});

test('with control tokens, tokenizer.model follows “legacy” as tokenizer.json does', () => {
  for (const [legacy, rows] of [
    [true, 'mistral-legacy-hf'],
    [false, 'mistral-first-hf'],
  ] as const) {
    const fromModel = sentencePieceTokenizer(recordedBytes('mistral.model'), 'mistral.model', { legacy });
    for (const { text, ids } of recordedJson<Recorded>(`${rows}.json`).encoded) {
      // Metaspace puts no space before one that is there; <unk> is no control token to SentencePiece.
      if (text.includes('<unk>') || (!legacy && /^[ ▁]/u.test(text))) continue;
      assert.deepEqual(fromModel.encode(text, { bos: false, special: true }), ids, JSON.stringify(text));
    }
  }
});

test('words are cut as Oniguruma cuts them', () => {
  const llama3 = recordedJson<{
    readonly pre_tokenizer: {
      readonly pretokenizers: readonly { readonly pattern: { readonly Regex: string } }[];
    };
  }>('llama3.json');
  for (const [source, rows] of [
    [llama3.pre_tokenizer.pretokenizers[0]!.pattern.Regex, 'llama3-hf'],
    [GPT2_SPLIT, 'neox-hf'],
  ] as const) {
    const pattern = splitPattern(source);
    assert.ok(pattern);
    const { splits = [] } = recordedJson<Recorded>(`${rows}.json`);
    assert.ok(splits.length > 200);
    for (const words of splits) assert.deepEqual(isolate(words.join(''), pattern), words);
  }
});

test('expressions that may mean something else in JavaScript are not taken', () => {
  for (const source of [
    '\\w+',
    '\\d',
    '^a',
    'a$',
    '.',
    '\\p{L}++',
    'a{1,2}+',
    'a+?',
    '\\p{Han}',
    '(?<=a)b',
    '(?i:x)',
    '(?>a)',
    '[a&&b]',
    '[[:alpha:]]',
    '[é-ü]',
    '\\bx',
    '(a*)*',
    '[',
    'a)',
    '*',
  ]) {
    assert.equal(splitPattern(source), undefined, source);
  }
  const escapes = splitPattern(String.raw`\-?[a\-\]]|(?:\/|\#)?\!`);
  assert.deepEqual(isolate('--x/!-a]', escapes!), ['--', 'x', '/!', '-a', ']']);
});

describe('beginnings and ends', () => {
  test('BOS is put before a text where the file says so, once', () => {
    const mistral = fromJson('mistral');
    const llama3 = fromJson('llama3');
    for (const [tokenizer, bos] of [
      [mistral, '<s>'],
      [llama3, '<|begin_of_text|>'],
    ] as const) {
      const id = tokenizer.idOf(bos);
      assert.equal(tokenizer.bosId, id);
      const meant = tokenizer.encode(`${bos}The`, { special: true });
      assert.equal(meant.filter((other) => other === id).length, 1);
      assert.equal(tokenizer.encode('The')[0], id);
      assert.ok(!tokenizer.encode(`${bos}The`, { bos: false }).includes(id!), 'written as text it is text');
    }
    assert.equal(fromJson('neox').bosId, undefined);
  });

  test('what ends a text is known by its usual name where no file says it', () => {
    assert.deepEqual(fromJson('mistral').eosIds, [2]);
    assert.deepEqual(fromJson('neox').eosIds, [0]);
    const llama3 = fromJson('llama3');
    assert.deepEqual(llama3.eosIds, [llama3.idOf('<|end_of_text|>')]);
  });

  test('a text that goes on from another gets no space before it', () => {
    for (const [tokenizer, spaced] of [
      [fromJson('mistral'), true],
      [fromJson('mistral', recordedJson<Recorded>('mistral-first-hf.json').patch), true],
      [sentencePieceTokenizer(recordedBytes('mistral.model'), 'x'), true],
      [fromJson('neox'), false],
    ] as const) {
      const [fresh, going] = [false, true].map((continues) =>
        tokenizer.encode('xx', { bos: false, continues }),
      );
      assert.equal(fresh!.join() !== going!.join(), spaced);
      const both = [...tokenizer.encode('a', { bos: false }), ...going!];
      assert.equal(tokenizer.decode(both), 'axx');
    }
  });
});
