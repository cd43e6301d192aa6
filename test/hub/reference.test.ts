import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../../src/errors.js';
import { formatHubReference, parseHubReference } from '../../src/hub/reference.js';

test('text that does not begin with hf: is no hub reference', () => {
  for (const text of ['google/recurrentgemma-2b', './hf:x', '/data/2b', ''])
    assert.equal(parseHubReference(text), undefined);
});

test('repository, revision and path are told apart', () => {
  const cases: [text: string, repository: string, revision: string, path: string][] = [
    ['hf:google/recurrentgemma-2b', 'google/recurrentgemma-2b', 'main', ''],
    ['hf://google/recurrentgemma-2b', 'google/recurrentgemma-2b', 'main', ''],
    ['hf:google/recurrentgemma-2b-flax/2b/', 'google/recurrentgemma-2b-flax', 'main', '2b'],
    ['hf:a/b@v1.0', 'a/b', 'v1.0', ''],
    ['hf:a/b@v1.0/sub/folder', 'a/b', 'v1.0', 'sub/folder'],
    ['hf:a/b@refs/pr/7', 'a/b', 'refs/pr/7', ''],
    ['hf:a/b@refs/pr/7/2b', 'a/b', 'refs/pr/7', '2b'],
    ['hf:a/b@feature%2Fx/2b', 'a/b', 'feature/x', '2b'],
    [
      'hf:A_1/b.c-d@0123456789abcdef0123456789abcdef01234567',
      'A_1/b.c-d',
      '0123456789abcdef0123456789abcdef01234567',
      '',
    ],
  ];
  for (const [text, repository, revision, path] of cases) {
    const reference = parseHubReference(text);
    assert.deepEqual(reference, { repository, revision, path });
    assert.deepEqual(
      parseHubReference(formatHubReference(reference!)),
      reference,
      'and written so that it reads the same',
    );
  }
});

test('what names nothing is refused with a hint', () => {
  const texts = [
    'hf:',
    'hf:gpt2',
    'hf:/b',
    'hf:a/',
    'hf:../b',
    'hf:a/..',
    'hf:a--x/b',
    'hf:a/b.git',
    'hf:-a/b',
    'hf:a/b.',
    'hf:a b/c',
    `hf:a/${'b'.repeat(100)}`,
    'hf:a/b@',
    'hf:a/b@..',
    'hf:a/b@x%2F..%2Fy',
    'hf:a/b@a b',
    'hf:a/b/../c',
    'hf:a/b//c',
    'hf:a/b/c\\d',
    'hf:a/b/c\u0000',
    'hf:a/b@main\n',
  ];
  for (const text of texts) {
    assert.throws(
      () => parseHubReference(text),
      (error) => error instanceof UsageError && error.hint?.includes('hf:org/name') === true,
      JSON.stringify(text),
    );
  }
});
