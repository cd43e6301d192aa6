/** Which beginnings are found to be shared: every sequence is still whole, and what is computed is as little as it may be. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Sequence, Start } from '../../src/runtime/sequence.js';
import { isSharedPrefix, withSharedPrefixes } from '../../src/runtime/shared-prefix.js';
import { type TokenId, tokenId } from '../../src/tokenizer/tokenizer.js';
import { gather } from '../support/gather.js';

/** `count` tokens that no other `name` begins with. */
const tokensOf = (name: number, count: number) =>
  Array.from({ length: count }, (_, i) => tokenId(1000 * name + i));

const sequenceOf = (tokens: TokenId[], rest: Partial<Sequence> = {}): Sequence => ({
  tokens,
  askFrom: tokens.length - 1,
  ...rest,
});

/** The tokens that each is fed, prefixes in brackets; and that all of them begin where another ended. */
async function fedOf(sequences: readonly Sequence[]): Promise<string[]> {
  const seen = new Map<Start, readonly TokenId[]>();
  const items = await gather(withSharedPrefixes(sequences));
  return items.map((item) => {
    const begun = item.start && !item.start.state ? seen.get(item.start)! : [];
    assert.equal(item.start?.tokens ?? 0, begun.length);
    assert.deepEqual(item.tokens.slice(0, begun.length), begun);
    const fed = item.tokens.length - begun.length;
    if (!isSharedPrefix(item)) return String(fed);
    seen.set(item.gives, item.tokens);
    return `(${fed})`;
  });
}

describe('a beginning that sequences share', () => {
  it('is fed once, before them', async () => {
    const head = tokensOf(1, 50);
    const sequences = [2, 3, 4].map((name) => sequenceOf([...head, ...tokensOf(name, 7)]));
    assert.deepEqual(await fedOf(sequences), ['(50)', '7', '7', '7']);
  });

  it('may hold one that fewer share', async () => {
    const head = tokensOf(1, 100);
    const sequences = [2, 3].flatMap((name) => {
      const question = [...head, ...tokensOf(name, 40)];
      return [5, 6, 7].map((end) => sequenceOf([...question, ...tokensOf(end, 2)]));
    });
    assert.deepEqual(await fedOf(sequences), ['(100)', '(40)', '2', '2', '2', '(40)', '2', '2', '2']);
  });

  it('is not looked for where it is short, or no neighbours have it', async () => {
    const short = [2, 3].map((name) => sequenceOf([...tokensOf(1, 20), ...tokensOf(name, 50)]));
    assert.deepEqual(await fedOf(short), ['70', '70']);
    const different = [1, 2, 1, 3].map((name) => sequenceOf(tokensOf(name, 60)));
    assert.deepEqual(await fedOf(different), ['60', '60', '60', '60']);
  });

  it('ends before the first token that is asked about', async () => {
    const tokens = tokensOf(1, 80);
    const early = [60, 50, 70].map((askFrom) => sequenceOf([...tokens], { askFrom }));
    assert.deepEqual(await fedOf(early), ['(50)', '30', '30', '30']);
  });

  it('comes after a state that they go on from, and only where it is the same', async () => {
    const row = { numTokens: 3, tensors: new Map() };
    const start = () => ({ start: { tokens: 0, state: row } });
    const tokens = tokensOf(1, 60);
    const same = [1, 2].map(() => sequenceOf([...tokens], start()));
    const [prefix, ...others] = await gather(withSharedPrefixes(same));
    assert.ok(prefix && isSharedPrefix(prefix) && prefix.start?.state === row);
    assert.deepEqual(
      others.map((each) => each.start === prefix.gives),
      [true, true],
    );
    const other = sequenceOf([...tokens]);
    assert.deepEqual(await fedOf([sequenceOf([...tokens], start()), other]), ['60', '60']);
  });

  it('goes on to be shared by more sequences than are looked at ahead', async () => {
    const head = tokensOf(1, 50);
    const sequences = Array.from({ length: 300 }, (_, i) => sequenceOf([...head, ...tokensOf(2 + i, 3)]));
    const fed = await fedOf(sequences);
    assert.deepEqual(fed, ['(50)', ...sequences.map(() => '3')]);
  });
});
