/** `recgemma sample --prompts`: many prompts from a file, and states that are kept and gone on from. */

import assert from 'node:assert/strict';
import { cp, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { openTokenizer } from '../../src/tokenizer/open.js';
import { convertGolden, loadGolden, temporaryFolder } from '../support/goldens.js';
import { maxDifference } from '../support/numbers.js';
import { idsModel, TOKENIZER, textModel } from './models.js';
import { jsonLines, NOT_BUILT, recgemma } from './run.js';

interface Line {
  readonly id: string | number;
  readonly index: number;
  readonly prompt_ids: readonly number[];
  readonly token_ids: readonly number[];
  readonly text: string;
  readonly logprobs: readonly number[];
  readonly finish_reason: string;
}

/** Writes lines into a new file. */
async function fileOf(...lines: readonly (object | string)[]): Promise<string> {
  const path = join(await temporaryFolder(), 'prompts.jsonl');
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
  await writeFile(path, `${text.join('\n')}\n`);
  return path;
}

const TOLERANCE = 5e-4;

describe('--prompts', { skip: NOT_BUILT, concurrency: 2 }, () => {
  it('gives each prompt what the official implementation gives it alone, whatever the batch', async () => {
    const { prompts, ragged_batch } = await loadGolden('rg-tiny');
    const cases = [
      ...prompts.map(({ name, tokens, greedy }) => ({ name, tokens, greedy })),
      ...ragged_batch.prompts.map((tokens, i) => {
        return { name: `ragged ${i}`, tokens, greedy: ragged_batch.continuations[i]! };
      }),
    ];
    const file = await fileOf(...cases.map(({ name, tokens }) => ({ id: name, prompt_ids: tokens })));
    const length = String(cases[0]!.greedy.tokens.length);
    const args = ['--prompts', file, '-n', length, '--ignore-eos', '--logprobs', '--json', '-q'];
    for (const batch of ['1', '3', '16']) {
      const result = await recgemma(['sample', '-m', await idsModel(), ...args, '-b', batch]);
      assert.equal(result.status, 0, result.stderr);
      const lines = jsonLines<Line>(result);
      assert.deepEqual(
        lines.map(({ index }) => index).sort((a, b) => a - b),
        [...cases.keys()],
      );
      for (const { id, index, prompt_ids, token_ids, logprobs, text, finish_reason } of lines) {
        const { name, tokens, greedy } = cases[index]!;
        assert.deepEqual([id, prompt_ids, text, finish_reason], [name, tokens, '', 'length']);
        assert.deepEqual(token_ids, greedy.tokens, name);
        assert.ok(maxDifference(logprobs, greedy.logprobs) < TOLERANCE, name);
      }
    }
  });

  it('takes texts and ids, names or numbers, and passes over empty lines', async () => {
    const tokenizer = (await openTokenizer(dirname(TOKENIZER)))!;
    const ids = tokenizer.encode('Introduction to');
    const file = await fileOf({ id: 'a', prompt: 'Introduction to' }, '', { id: 7, prompt_ids: ids }, '  ', {
      prompt: 'Introduction to',
    });
    const args = ['sample', '-m', await textModel(), '--prompts', file, '-n', '5', '-b', '1'];
    const lines = jsonLines<Line>(await recgemma([...args, '--json']));
    assert.deepEqual(
      lines.map(({ id, index }) => [id, index]),
      [
        ['a', 0],
        [7, 1],
        ['2', 2],
      ],
    );
    for (const line of lines) {
      assert.deepEqual([line.prompt_ids, line.text], [ids, lines[0]!.text]);
    }
    const { text } = lines[0]!;
    const plain = await recgemma([...args, '-q']);
    assert.equal(plain.stdout, `# a\n${text}\n\n# 7\n${text}\n\n# 2\n${text}\n`);
    const stdin = await recgemma(['sample', '-m', await textModel(), '--prompts', '-', '-n', '5', '--json'], {
      input: `\ufeff${await readFile(file, 'utf8')}`, // as some editors begin a file
    });
    assert.equal(jsonLines(stdin).length, 3);
  });

  it('writes a text when it is finished, not when all before it are', async () => {
    const file = await fileOf({ prompt: 'The capital of' }, { prompt: 'Introduction to Uruguay' });
    const args = ['--prompts', file, '-n', '30', '-t', '1', '--seed', '4', '-b', '2', '--json', '-q'];
    const run = async (...more: string[]) =>
      jsonLines<Line>(await recgemma(['sample', '-m', await textModel(), ...args, ...more]));
    const whole = await run();
    assert.deepEqual(
      whole.map(({ index }) => index),
      [0, 1],
    );
    const stop = whole[1]!.text.slice(4, 12);
    assert.ok(!whole[0]!.text.includes(stop));
    const stopped = await run('--stop', stop);
    assert.deepEqual(
      stopped.map(({ index, finish_reason }) => [index, finish_reason]),
      [
        [1, 'stop'],
        [0, 'length'],
      ],
    );
    assert.deepEqual(stopped[1]!.token_ids, whole[0]!.token_ids);
    const ordered = await run('--stop', stop, '--ordered');
    assert.deepEqual(
      ordered.map(({ index, token_ids }) => [index, token_ids]),
      [...stopped].reverse().map(({ index, token_ids }) => [index, token_ids]),
    );
  });

  it('says with --stats how full the rows were, and what prompts have in common', async () => {
    const head = Array.from({ length: 60 }, (_, i) => 300 + i);
    const file = await fileOf(...[1, 2, 3, 4, 5, 6].map((last) => ({ prompt_ids: [2, ...head, last] })));
    const args = ['sample', '-m', await idsModel(), '--prompts', file, '-n', '3', '-b', '4', '--stats'];
    const { stdout, stderr } = await recgemma([...args, '--json']);
    assert.match(
      stderr,
      /\nprompt 372 tokens, [\d.]+ a second and 305 shared; generated 18, [\d.]+ a second; 4 rows, \d+ % busy; /,
    );
    const { totals } = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as { totals: Record<string, number> };
    const { texts, prompt_tokens, computed_prompt_tokens, shared_prompt_tokens, batch, busy } = totals;
    assert.deepEqual(
      { texts, prompt_tokens, computed_prompt_tokens, shared_prompt_tokens, batch },
      { texts: 6, prompt_tokens: 372, computed_prompt_tokens: 61, shared_prompt_tokens: 305, batch: 4 },
    );
    assert.ok(busy! > 0 && busy! <= 1);
  });

  it('chooses the batch by memory, and ends with 5 where one that was asked for does not fit', async () => {
    const folder = join(await temporaryFolder(), 'model');
    await cp(await idsModel(), folder, { recursive: true });
    const manifest = JSON.parse(await readFile(join(folder, 'recgemma.json'), 'utf8'));
    // Weights that leave no memory free.
    manifest.files.others = { bytes: 2 ** 45, sha256: '' };
    await writeFile(join(folder, 'recgemma.json'), JSON.stringify(manifest));
    const file = await fileOf({ prompt_ids: [2, 7] }, { prompt_ids: [2, 8] });
    const args = ['sample', '-m', folder, '--prompts', file, '-n', '2', '--json'];
    const chosen = await recgemma([...args, '-v']);
    assert.equal(chosen.status, 0, chosen.stderr);
    assert.match(chosen.stderr, /^batch 1: 1 states of up to \d\.\d KiB\n/);
    const refused = await recgemma([...args, '-b', '2']);
    assert.equal(refused.status, 5);
    const { error } = JSON.parse(refused.stdout) as { error: { message: string } };
    assert.match(
      error.message,
      /^A batch of 2 needs \d\.\d KiB: 2 states of \d\.\d KiB\. Beside the weights, 0 B of memory are free\.$/,
    );
  });

  it('refuses a line by its file and number before anything is generated', async () => {
    const model = await textModel();
    for (const [line, message] of [
      ['{"prompt_ids": [2}', /line 2 is not JSON\./],
      ['[]', /line 2 is not a JSON object\./],
      ['{"id": "x"}', /line 2 has neither "prompt" nor "prompt_ids"\./],
      ['{"prompt": 3}', /line 2: "prompt" must be a text\./],
      ['{"prompt_ids": [-1]}', /line 2: "prompt_ids" must be a list of token ids\./],
      ['{"prompt_ids": [2048]}', /line 2: Token id 2048 is not one of this model's, which are 0 to 2047\./],
      ['{"prompt_ids": []}', /line 2 has an empty prompt\./],
      ['{"id": {}, "prompt": "x"}', /line 2: "id" must be a text or a number\./],
    ] as const) {
      const file = await fileOf({ prompt: 'x' }, line);
      const { status, stdout, stderr } = await recgemma(['sample', '-m', model, '--prompts', file, '-q']);
      assert.deepEqual([status, stdout], [3, ''], line);
      assert.ok(stderr.startsWith(`error: ${file} line 2`), stderr);
      assert.match(stderr, message);
    }
    const none = await recgemma(['sample', '-m', model, '--prompts', '/no/such.jsonl', '-q']);
    assert.equal(none.status, 3);
    assert.match(none.stderr, /^error: \/no\/such\.jsonl .*\.\n$/);
    const both = await recgemma(['sample', '-m', model, '--prompts', 'x', '--save-state', 'y']);
    assert.equal(both.status, 2);
    assert.match(both.stderr, /--save-state.*--prompts cannot go together|--prompts.*--save-state/);
  });
});

describe('a saved state', { skip: NOT_BUILT, concurrency: 1 }, () => {
  const GREEDY = ['--ignore-eos', '--json', '--logprobs', '-q', '--threads', '1'];

  it('goes on to the bit', async () => {
    const model = await idsModel();
    const state = join(await temporaryFolder(), 'state');
    const { tokens, greedy } = (await loadGolden('rg-tiny')).prompts.at(-1)!;
    const run = async (...args: string[]) => {
      const result = await recgemma(['sample', '-m', model, ...GREEDY, ...args]);
      assert.equal(result.status, 0, result.stderr);
      return jsonLines<Line>(result)[0]!;
    };
    const prompt = ['--prompt-ids', tokens.join()];
    const whole = await run(...prompt, '-n', '32');
    assert.deepEqual(whole.token_ids, greedy.tokens);
    for (const first of [0, 5]) {
      const start = await run(...prompt, '-n', String(first), '--save-state', state);
      const rest = await run('--load-state', state, '-n', String(32 - first));
      assert.deepEqual([...start.token_ids, ...rest.token_ids], whole.token_ids);
      assert.deepEqual([...start.logprobs, ...rest.logprobs], whole.logprobs);
      assert.deepEqual(rest.prompt_ids, []);
    }
    // A prompt comes after what the state holds.
    const split = tokens.length - 3;
    await run('--prompt-ids', tokens.slice(0, split).join(), '-n', '0', '--save-state', state);
    const joined = await run('--load-state', state, '--prompt-ids', tokens.slice(split).join(), '-n', '32');
    assert.deepEqual(joined.token_ids, whole.token_ids);
    assert.deepEqual(await readdir(join(state, '..')), ['state']);
  });

  it('takes a text after it without a second beginning', async () => {
    const model = await textModel();
    const state = join(await temporaryFolder(), 'state');
    const sample = (...args: string[]) => recgemma(['sample', '-m', model, '-q', '-n', '4', ...args]);
    const first = await sample('The capital of', '--save-state', state);
    assert.equal(first.status, 0);
    const second = jsonLines<Line>(await sample('--load-state', state, ' France', '--json'))[0]!;
    const tokenizer = (await openTokenizer(dirname(TOKENIZER)))!;
    assert.deepEqual(second.prompt_ids, tokenizer.encode(' France', { bos: false }));
  });

  it('of another model, damaged, or no state at all ends with 3', async () => {
    const model = await idsModel();
    const folder = await temporaryFolder();
    const state = join(folder, 'state');
    const saved = await recgemma(['sample', '-m', model, '--prompt-ids', '2,7', '--save-state', state, '-q']);
    assert.equal(saved.status, 0);
    const refused = async (from: string, path: string, message: RegExp) => {
      const { status, stdout, stderr } = await recgemma(['sample', '-m', from, '--load-state', path, '-q']);
      assert.deepEqual([status, stdout], [3, ''], stderr);
      assert.match(stderr, /^error: [^\n]+\.\n(hint: [^\n]+\n)?$/);
      assert.match(stderr, message);
    };
    const other = await convertGolden('rg-tiny/flax-ocdbt-f32', { attentionWindow: 7 });
    await refused(other, state, /state is a state of another model than \S+\.\nhint: A state fits only/);
    const weights = join(await convertGolden('rg-tiny/hf-bf16'), 'recgemma.json');
    await refused(model, weights, /recgemma\.json is not a safetensors file/);

    const bytes = await readFile(state);
    const header = Number(bytes.readBigUInt64LE());
    for (const [what, damage] of [
      ['cut', () => truncate(state, bytes.length - 100)],
      ['no header', () => writeFile(state, Buffer.concat([bytes.subarray(0, 8), Buffer.alloc(header)]))],
      [
        'a count',
        () => writeFile(state, bytes.toString('latin1').replace('num_tokens":"', 'num_tokens":"-'), 'latin1'),
      ],
      ['nothing', () => truncate(state, 0)],
    ] as const) {
      await damage();
      await refused(model, state, /state/).catch((cause: unknown) => {
        throw new Error(what, { cause });
      });
      await writeFile(state, bytes);
    }
  });
});
