/** `tokenizer.model` files that cannot be used: each is refused with its name, none does harm. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { InputError } from '../../src/errors.js';
import { sentencePieceTokenizer } from '../../src/tokenizer/sentencepiece.js';
import { FACTBOOK, seeded } from './recorded.js';

const good = readFileSync(path.join(FACTBOOK, 'tokenizer.model'));

type Write = (writer: BinaryWriter) => BinaryWriter;

function message(field: number, write: Write): Uint8Array {
  return new BinaryWriter()
    .tag(field, WireType.LengthDelimited)
    .bytes(write(new BinaryWriter()).finish())
    .finish();
}

/** One more piece. */
const piece = (text: string, kind = 1, score = 0): Uint8Array =>
  message(1, (writer) =>
    writer
      .tag(1, WireType.LengthDelimited)
      .string(text)
      .tag(2, WireType.Bit32)
      .float(score)
      .tag(3, WireType.Varint)
      .int32(kind),
  );

/** A setting of the trainer (2) or the normalizer (3); behind a model it overrules what stands there. */
const setting = (part: 2 | 3, field: number, value: number): Uint8Array =>
  message(part, (writer) => writer.tag(field, WireType.Varint).int32(value));

const map = (part: 3 | 5): Uint8Array =>
  message(part, (writer) => writer.tag(2, WireType.LengthDelimited).bytes(new Uint8Array([1, 2, 3])));

const withMore = (...parts: Uint8Array[]): Uint8Array => Buffer.concat([good, ...parts]);

const bad: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
  'an empty file': [new Uint8Array(), /no pieces/],
  'text instead of protobuf': [Buffer.from('{"model": {"type": "BPE"}}'), /not a SentencePiece model/],
  'a file cut in a piece': [good.subarray(0, 1000), /not a SentencePiece model/],
  'a file cut in its trainer settings': [good.subarray(0, good.length - 40), /not a SentencePiece model/],
  'a length beyond the end': [Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), /not a SentencePiece model/],
  'a varint without end': [Buffer.alloc(64, 0xff), /not a SentencePiece model/],
  'a field beyond its message': [withMore(Buffer.from([0x0a, 0x03, 0x0a, 0x7f, 0x61])), /damaged/],
  'a piece that is not UTF-8': [withMore(Buffer.from([0x0a, 0x04, 0x0a, 0x02, 0xc3, 0x28])), /damaged/],
  'an empty piece': [withMore(piece('')), /piece 2048 is empty/],
  'a piece twice': [withMore(piece('<bos>')), /piece "<bos>" twice \(2 and 2048\)/],
  'a kind that does not exist': [withMore(piece('new', 9)), /of kind 9/],
  'a score that is not a number': [withMore(piece('new', 1, Number.NaN)), /no score/],
  'two unknown pieces': [withMore(piece('new', 2)), /one unknown piece/],
  'no unknown piece': [Buffer.concat([piece('a'), setting(2, 3, 2)]), /one unknown piece/],
  'bytes promised but missing': [
    Buffer.concat([piece('<unk>', 2), setting(2, 3, 2), setting(2, 35, 1)]),
    /pieces for all bytes/,
  ],
  'a unigram model': [withMore(setting(2, 3, 1)), /type unigram/],
  'a word model': [withMore(setting(2, 3, 3)), /type word/],
  'a model of an unknown type': [withMore(setting(2, 3, 77)), /type 77/],
  'a normalization map': [withMore(map(3)), /rewrites characters/],
  'a denormalization map': [withMore(map(5)), /rewrites characters/],
  'spaces at the ends of words': [withMore(setting(2, 24, 1)), /ends of words/],
};

describe('a tokenizer.model is refused, and its name said', () => {
  for (const [what, [bytes, reason]] of Object.entries(bad)) {
    test(what, () => {
      assert.throws(
        () => sentencePieceTokenizer(bytes, 'folder/tokenizer.model'),
        (error) =>
          error instanceof InputError &&
          error.message.startsWith('folder/tokenizer.model') &&
          reason.test(error.message),
      );
    });
  }
});

test('the same pieces and settings, when good, are read', () => {
  const more = withMore(piece('brand▁new', 4), setting(2, 3, 2));
  const tokenizer = sentencePieceTokenizer(more, 'x');
  assert.equal(tokenizer.vocabSize, 2049);
  assert.deepEqual(tokenizer.encode('brand new'), [2, 2048]);
});

test('files with random damage are read or refused', () => {
  const random = seeded(20);
  const outcomes = { read: 0, refused: 0 };
  for (let round = 0; round < 150; round++) {
    const bytes = Buffer.from(
      good.subarray(0, random() < 0.2 ? Math.floor(random() * good.length) : good.length),
    );
    for (let change = 0; change <= random() * 4; change++) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
    try {
      const tokenizer = sentencePieceTokenizer(bytes, 'x');
      const ids = tokenizer.encode('The Government of France, 日本 <eos>\n\n1994', { special: true });
      tokenizer.decode(ids);
      outcomes.read++;
    } catch (error) {
      assert.ok(error instanceof InputError, `round ${round}: ${error}`);
      outcomes.refused++;
    }
  }
  assert.ok(outcomes.read > 10 && outcomes.refused > 10, JSON.stringify(outcomes));
});
