/** Stop strings, however the text arrives. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../src/errors.js';
import { StopMatcher } from '../../src/tokenizer/stop-strings.js';
import { seeded } from './recorded.js';

function run(stops: readonly string[], chunks: readonly string[]): { shown: string; stopped: boolean } {
  const matcher = new StopMatcher(stops);
  let shown = '';
  for (const chunk of chunks) {
    const { text, stopped } = matcher.push(chunk);
    shown += text;
    if (stopped) return { shown, stopped };
  }
  return { shown: shown + matcher.end(), stopped: false };
}

test('text is cut exactly before the stop string', () => {
  assert.deepEqual(run(['\n\n'], ['one\n', 'two\n', '\nthree']), { shown: 'one\ntwo', stopped: true });
  assert.deepEqual(run(['END'], ['the EN', 'D of it']), { shown: 'the ', stopped: true });
  assert.deepEqual(run(['END'], ['the EN', 'd of it']), { shown: 'the ENd of it', stopped: false });
  assert.deepEqual(run([], ['anything']), { shown: 'anything', stopped: false });
});

test('only what may begin a stop string is held back', () => {
  const matcher = new StopMatcher(['<stop>', 'aab']);
  assert.deepEqual(matcher.push('x <st'), { text: 'x ', stopped: false });
  assert.deepEqual(matcher.push('a'), { text: '<st', stopped: false });
  assert.deepEqual(matcher.push('aa'), { text: 'a', stopped: false });
  assert.equal(matcher.end(), 'aa');
});

test('after a stop nothing more is shown', () => {
  const matcher = new StopMatcher(['.']);
  assert.deepEqual(matcher.push('a. b'), { text: 'a', stopped: true });
  assert.deepEqual(matcher.push('c'), { text: '', stopped: true });
  assert.equal(matcher.end(), '');
});

test('an empty stop string is refused', () => {
  assert.throws(() => new StopMatcher(['a', '']), UsageError);
});

test('the result does not depend on how the text was cut', () => {
  const random = seeded(5);
  const word = (length: number) => Array.from({ length }, () => 'ab<'[Math.floor(random() * 3)]).join('');
  for (let round = 0; round < 2000; round++) {
    const text = word(1 + Math.floor(random() * 20));
    const stops = Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
      word(1 + Math.floor(random() * 4)),
    );
    const chunks: string[] = [];
    for (let at = 0; at < text.length; ) {
      const length = 1 + Math.floor(random() * 5);
      chunks.push(text.slice(at, at + length));
      at += length;
    }
    // Letter by letter: the first prefix that ends in a stop string, cut before the longest such.
    let expected = { shown: text, stopped: false };
    for (let end = 1; end <= text.length && !expected.stopped; end++) {
      const matched = stops.filter((stop) => text.slice(0, end).endsWith(stop)).map((stop) => stop.length);
      if (matched.length > 0) expected = { shown: text.slice(0, end - Math.max(...matched)), stopped: true };
    }
    assert.deepEqual(run(stops, chunks), expected, JSON.stringify({ stops, chunks }));
  }
});
