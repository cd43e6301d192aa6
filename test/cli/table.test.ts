import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { displayWidth, formatTable } from '../../src/cli/table.js';

describe('formatTable', () => {
  it('aligns columns, numbers at the right, and leaves no trailing spaces', () => {
    const rows = [
      ['embedder', '256000 x 2560', 655360000],
      ['a', '8', 7],
    ];
    assert.equal(
      formatTable(['TENSOR', 'SHAPE', 'SIZE'], rows),
      [
        'TENSOR    SHAPE               SIZE',
        'embedder  256000 x 2560  655360000',
        'a         8                      7',
      ].join('\n'),
    );
    assert.equal(formatTable(['A', 'B'], [['x', '']]), 'A  B\nx');
  });

  it('aligns wide characters by what they take on the screen', () => {
    assert.equal(
      formatTable(
        ['A', 'B'],
        [
          ['日本', '|'],
          ['abcd', '|'],
        ],
      ),
      'A     B\n日本  |\nabcd  |',
    );
  });

  it('shows a header alone', () => {
    assert.equal(formatTable(['A', 'B'], []), 'A  B');
  });
});

describe('displayWidth', () => {
  // The numbers are those of Python's wcwidth 0.9.4: wcswidth(text).
  const widths: readonly (readonly [string, number])[] = [
    ['abc', 3],
    ['日本語', 6],
    ['é', 1],
    ['e\u0301', 1],
    ['한국어', 6],
    ['ｶﾅ', 2],
    ['Ａ', 2],
    ['👩‍👩‍👧', 2],
    ['✔', 1],
    ['…', 1],
    ['🇫🇷', 2],
    ['\u200b', 0],
    ['🙂', 2],
    ['╭─╮', 3],
  ];
  for (const [text, width] of widths) {
    it(`of ${JSON.stringify(text)} is ${width}`, () => assert.equal(displayWidth(text), width));
  }

  it('does not count colours', () => {
    assert.equal(displayWidth('\u001b[31mred\u001b[0m'), 3);
  });
});
