/** `recgemma score` as built: log-likelihoods of continuations, and the perplexity of a text. */

import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadGolden, temporaryFolder } from '../support/goldens.js';
import { assertClose } from '../support/numbers.js';
import { idsModel, textModel } from './models.js';
import { jsonLines, NOT_BUILT, recgemma } from './run.js';

interface Score {
  readonly id: string;
  readonly logprob: number;
  readonly token_logprobs: readonly number[];
  readonly is_greedy: boolean;
  readonly num_tokens: number;
}

/** Absolute, of a whole continuation's log-likelihood. */
const TOLERANCE = 1e-3;

const jsonl = (lines: readonly object[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

describe('recgemma score', { skip: NOT_BUILT, concurrency: 2 }, () => {
  it('finds continuations as likely as the official implementation, in any order and batch', async () => {
    const { loglikelihood } = await loadGolden('rg-tiny');
    const input = jsonl(
      loglikelihood.map(({ context, continuation }, i) => {
        return { id: `pair ${i}`, context_ids: context, continuation_ids: continuation };
      }),
    );
    const results = await Promise.all(
      [['-b', '1'], ['-b', '3', '--ordered'], []].map(async (args) =>
        recgemma(['score', '-m', await idsModel(), '--input', '-', '-q', ...args], { input }),
      ),
    );
    for (const [run, result] of results.entries()) {
      assert.deepEqual([result.status, result.stderr], [0, '']);
      const scores = jsonLines<Score>(result);
      // As they are finished, unless there is but one row or the order is asked for.
      const placeOf = ({ id }: Score) => Number(id.replace('pair ', ''));
      if (run === 2) scores.sort((a, b) => placeOf(a) - placeOf(b));
      assert.equal(scores.length, loglikelihood.length);
      for (const [i, wanted] of loglikelihood.entries()) {
        const score = scores[i]!;
        assert.deepEqual(Object.keys(score), ['id', 'logprob', 'token_logprobs', 'is_greedy', 'num_tokens']);
        assert.deepEqual(
          [score.id, score.is_greedy, score.num_tokens],
          [`pair ${i}`, wanted.is_greedy, wanted.continuation.length],
        );
        assertClose([score.logprob], [wanted.sum], TOLERANCE, score.id);
        assertClose(score.token_logprobs, wanted.token_logprobs, TOLERANCE, score.id);
      }
    }
  });

  it('takes pairs of texts; together they are as likely as the whole', async () => {
    const model = await textModel();
    const score = async (...pairs: object[]) =>
      jsonLines<Score>(
        await recgemma(['score', '-m', model, '--input', '-', '--ordered', '-q'], { input: jsonl(pairs) }),
      );
    const [first, second, whole] = await score(
      { context: '', continuation: 'The capital' },
      { context: 'The capital', continuation: ' of France is' },
      { context: '', continuation: 'The capital of France is' },
    );
    assertClose([first!.logprob + second!.logprob], [whole!.logprob], TOLERANCE, 'sum');
    assert.equal(first!.num_tokens + second!.num_tokens, whole!.num_tokens);

    const file = join(await temporaryFolder(), 'text.txt');
    await writeFile(file, 'The capital of France is');
    const args = ['score', '-m', model, '--text', file];
    const json = JSON.parse((await recgemma([...args, '--json', '-q'])).stdout) as Record<string, number>;
    assert.deepEqual(Object.keys(json), [
      'num_tokens',
      'num_bytes',
      'logprob',
      'perplexity',
      'bits_per_byte',
    ]);
    assert.deepEqual([json.num_tokens, json.num_bytes], [whole!.num_tokens, 24]);
    assertClose([json.logprob!], [whole!.logprob], TOLERANCE, 'text');
    assertClose([Math.log(json.perplexity!)], [-whole!.logprob / whole!.num_tokens], TOLERANCE, 'perplexity');
    const plain = await recgemma([...args, '-q']);
    assert.match(
      plain.stdout,
      /^perplexity \d+\.\d{4} a token, \d+\.\d{4} bits a byte \(\d+ tokens, 24 bytes\)\n$/,
    );
  });

  it('writes --output when all is done, or not at all', async () => {
    const folder = await temporaryFolder();
    const output = join(folder, 'scores.jsonl');
    const good = { context_ids: [2, 7], continuation_ids: [3] };
    const run = async (pairs: readonly object[], ...args: string[]) =>
      recgemma(['score', '-m', await idsModel(), '--input', '-', '--output', output, '-b', '1', ...args], {
        input: jsonl(pairs),
      });
    const done = await run([good, good]);
    assert.deepEqual([done.status, done.stdout], [0, `Wrote 2 scores to ${output}.\n`]);
    assert.equal((await readFile(output, 'utf8')).trimEnd().split('\n').length, 2);
    const json = JSON.parse((await run([good], '--json')).stdout) as Record<string, unknown>;
    assert.deepEqual([json.output, json.requests, json.tokens], [output, 1, 1]);
    assert.deepEqual([json.computed_tokens, json.shared_tokens, json.batch, json.busy], [2, 0, 1, 1]);
    assert.equal((await readFile(output, 'utf8')).trimEnd().split('\n').length, 1);

    const after = await readFile(output, 'utf8');
    const failed = await run([good, {}]);
    assert.deepEqual([failed.status, failed.stdout], [3, '']);
    assert.equal(await readFile(output, 'utf8'), after);
    assert.deepEqual(await readdir(folder), ['scores.jsonl']);
  });

  it('refuses a line by its number', async () => {
    const good = { context_ids: [2, 7], continuation_ids: [3] };
    for (const [line, message] of [
      [{ context_ids: [2], continuation_ids: [] }, /^error: stdin line 2 has an empty continuation\.$/],
      [{ context_ids: [], continuation_ids: [2] }, /^error: stdin line 2 has an empty context\.$/],
      [{ context_ids: [2], continuation_ids: [512] }, /^error: stdin line 2: Token id 512 is not one of/],
      [{ context: 'x' }, /^error: stdin line 2: it needs "context" and "continuation", or/],
      [[], /^error: stdin line 2 is not a JSON object\.$/],
    ] as const) {
      const { status, stderr } = await recgemma(['score', '-m', await idsModel(), '--input', '-', '-q'], {
        input: jsonl([good, line]),
      });
      assert.equal(status, 3);
      assert.match(stderr.trimEnd(), message);
    }
  });

  it('needs one of --input and --text, and a place for --output', async () => {
    const model = await idsModel();
    for (const [args, message] of [
      [[], /^error: Give one of --input, --text\./],
      [['--input', '-', '--text', 'package.json'], /^error: --text and --input cannot go together\./],
      [
        ['--input', '-', '--output', '/no/such/file'],
        /^error: --output must be a file in a folder that exists/,
      ],
      [['--text', '/no/such/file'], /^error: --text must be a path that exists/],
    ] as const) {
      const { status, stderr } = await recgemma(['score', '-m', model, ...args]);
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    }
    const ids = await recgemma(['score', '-m', model, '--text', 'package.json', '-q']);
    assert.equal(ids.status, 2);
    assert.match(ids.stderr, /has no tokenizer/);
    const none = await recgemma(['score', '-m', model, '--input', '/no/such/file', '-q']);
    assert.equal(none.status, 3);
  });
});
