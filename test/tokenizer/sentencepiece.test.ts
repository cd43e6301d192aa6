/** `tokenizer.model` against Python's sentencepiece. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { sentencePieceTokenizer } from '../../src/tokenizer/sentencepiece.js';
import { type TokenId, type Tokenizer, tokenId } from '../../src/tokenizer/tokenizer.js';
import {
  type Decoded,
  type Encoded,
  FACTBOOK,
  heldout,
  recordedBytes,
  recordedJson,
  seeded,
} from './recorded.js';

const factbookBytes = readFileSync(path.join(FACTBOOK, 'tokenizer.model'));
const factbook = sentencePieceTokenizer(factbookBytes, 'tokenizer.model');

function stream(tokenizer: Tokenizer, ids: readonly TokenId[]): string[] {
  const decoder = tokenizer.decoder();
  return [...ids.map((id) => decoder.push(id)), decoder.end()];
}

function assertEncodes(tokenizer: Tokenizer, rows: readonly Encoded[]): void {
  assert.ok(rows.length > 100);
  for (const { text, ids, decoded } of rows) {
    assert.deepEqual(tokenizer.encode(text, { bos: false }), ids, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids), decoded, JSON.stringify(text));
  }
}

function assertDecodes(tokenizer: Tokenizer, rows: readonly Decoded[]): void {
  assert.ok(rows.length > 20);
  for (const { ids, text } of rows) {
    assert.equal(tokenizer.decode(ids), text, `${ids}`);
    assert.equal(stream(tokenizer, ids).join(''), text, `${ids}, streamed`);
  }
}

describe('the ids and texts of Python', () => {
  test('Gemma’s options: 615 texts', () => {
    assertEncodes(factbook, recordedJson<Encoded[]>('factbook-spm.json'));
  });

  test('Gemma’s options: decoding, with bytes that are no characters', () => {
    assertDecodes(factbook, recordedJson<Decoded[]>('factbook-spm-decode.json'));
    assertDecodes(factbook, recordedJson<Decoded[]>('byte-runs.json'));
  });

  const words = recordedJson<{
    readonly llamaFlags: string;
    readonly words: { readonly encoded: Encoded[]; readonly decoded: Decoded[] };
    readonly llama: { readonly encoded: Encoded[]; readonly decoded: Decoded[] };
  }>('words.json');

  test('SentencePiece’s defaults: squeezed spaces, unknown characters, unused pieces', () => {
    const tokenizer = sentencePieceTokenizer(recordedBytes('words.model'), 'words.model');
    assertEncodes(tokenizer, words.words.encoded);
    assertDecodes(tokenizer, words.words.decoded);
  });

  test('Llama’s flags: a space before every text, dropped in decoding', () => {
    const bytes = Buffer.concat([factbookBytes, Buffer.from(words.llamaFlags, 'hex')]);
    const tokenizer = sentencePieceTokenizer(bytes, 'tokenizer.model');
    assertEncodes(tokenizer, words.llama.encoded);
    assertDecodes(tokenizer, words.llama.decoded);
  });

  test('long texts: 194 kB of prose, and 100 kB without a space', () => {
    const digest = (text: string) => {
      const ids = factbook.encode(text, { bos: false });
      return { count: ids.length, sha256: createHash('sha256').update(ids.join()).digest('hex') };
    };
    const text = heldout();
    const endless = text.replaceAll('\n', '').replaceAll(' ', '').slice(0, 100_000);
    assert.deepEqual({ heldout: digest(text), endless: digest(endless) }, recordedJson<unknown>('long.json'));
  });
});

test('a megabyte of one character, of prose and of spaces comes back whole', () => {
  for (const text of ['a'.repeat(1_000_000), heldout().repeat(5), ' '.repeat(1_000_000)]) {
    assert.equal(factbook.decode(factbook.encode(text)), text);
  }
});

test('BOS is put before a text once, where the caller or the model wants it', () => {
  assert.equal(factbook.bosId, 2);
  assert.deepEqual(factbook.eosIds, [1]);
  assert.equal(factbook.padId, 0);
  const plain = factbook.encode('The', { bos: false });
  assert.deepEqual(factbook.encode('The'), [2, ...plain]);
  assert.deepEqual(factbook.encode(''), [2]);
  assert.deepEqual(factbook.encode('<bos>The', { special: true }), [2, ...plain]);
  const settings = { addBos: false };
  assert.deepEqual(sentencePieceTokenizer(factbookBytes, 'x', settings).encode('The'), plain);
});

test('control tokens written in a text are text, unless asked for', () => {
  const written = factbook.encode('<bos>a<eos>', { bos: false });
  assert.ok(!written.some((id) => id === 1 || id === 2));
  assert.equal(factbook.decode(written), '<bos>a<eos>');
  const meant = factbook.encode('<bos>a<eos>', { special: true });
  assert.deepEqual([meant[0], meant.at(-1), meant.length], [2, 1, 3]);
  assert.equal(factbook.decode(meant), 'a');
  assert.equal(factbook.decode(meant, { skipSpecial: false }), '<bos>a<eos>');
});

test('user-defined pieces are recognised, and can be switched off for prompts from strangers', () => {
  const text = '<start_of_turn>user\n\nhi<end_of_turn>';
  const turn = factbook.idOf('<start_of_turn>')!;
  const lines = factbook.idOf('\n\n')!;
  assert.equal(factbook.encode(text, { bos: false })[0], turn);
  const escaped = factbook.encode(text, { bos: false, markers: false });
  assert.ok(!escaped.includes(turn) && !escaped.includes(factbook.idOf('<end_of_turn>')!));
  assert.ok(escaped.includes(lines));
  assert.equal(factbook.decode(escaped), text);
});

test('streaming gives whole characters, and in total what decode gives', () => {
  const text = 'né 👩‍👩‍👧‍👦 日本';
  const pieces = stream(factbook, factbook.encode(text));
  assert.equal(pieces.join(''), text);
  for (const piece of pieces) assert.doesNotMatch(piece, /\p{Surrogate}|\ufffd/u);
  assert.ok(pieces.includes('日') && pieces.includes('\u{1f467}'));

  const random = seeded(1);
  for (let round = 0; round < 300; round++) {
    const ids = Array.from({ length: 12 }, () => tokenId(Math.floor(random() * (round % 2 ? 300 : 2048))));
    assert.equal(stream(factbook, ids).join(''), factbook.decode(ids));
  }
});

test('ids that the vocabulary lacks decode to nothing', () => {
  assert.equal(factbook.vocabSize, 2048);
  assert.equal(factbook.decode([tokenId(2048), tokenId(999_999), tokenId(-1)]), '');
  assert.equal(factbook.piece(tokenId(4096)), '');
  assert.equal(factbook.idOf('no such piece'), undefined);
});

test('half a surrogate pair is written as U+FFFD', () => {
  assert.deepEqual(factbook.encode('a\ud83db'), factbook.encode('a\ufffdb'));
});
