/** `recgemma sample` as built: where prompts come from, what is written and where, and what is refused. */

import assert from 'node:assert/strict';
import { cp, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { openTokenizer } from '../../src/tokenizer/open.js';
import { tokenId } from '../../src/tokenizer/tokenizer.js';
import { temporaryFolder } from '../support/goldens.js';
import { idsModel, TOKENIZER, textModel } from './models.js';
import { finish, jsonLines, NOT_BUILT, recgemma, start } from './run.js';

interface Line {
  readonly id: string;
  readonly prompt_ids: readonly number[];
  readonly token_ids: readonly number[];
  readonly text: string;
  readonly logprobs?: readonly number[];
  readonly finish_reason: string;
}

const PROMPT = 'The capital of';

/** Runs `sample` with the text model. */
const sample = async (args: readonly string[], input?: string) =>
  recgemma(
    ['sample', '-m', await textModel(), '--threads', '1', ...args],
    input === undefined ? {} : { input },
  );

/** The only line of a run with --json. */
async function sampled(args: readonly string[], input?: string): Promise<Line> {
  const result = await sample([...args, '--json', '-q'], input);
  assert.deepEqual([result.status, result.stderr], [0, '']);
  const [line, ...others] = jsonLines<Line>(result);
  assert.deepEqual(others, []);
  return line!;
}

/** Runs `sample` and expects an error. */
async function refused(
  status: number,
  message: RegExp,
  args: readonly string[],
  input?: string,
): Promise<void> {
  const result = await recgemma(['sample', ...args], input === undefined ? {} : { input });
  assert.equal(result.status, status, `${args.join(' ')}\n${result.stderr}`);
  assert.match(result.stderr, /^(load .*\n)?error: [^\n]+\.\n(hint: [^\n]+\n)?$/);
  assert.match(result.stderr, message);
  assert.equal(result.stdout, '');
}

describe('a prompt', { skip: NOT_BUILT, concurrency: 2 }, () => {
  it('is the argument, or stdin without the line end that echo adds, or - for stdin', async () => {
    const wanted = (await openTokenizer(dirname(TOKENIZER)))!.encode(PROMPT);
    const lines = [
      await sampled([PROMPT, '-n', '3']),
      await sampled(['-n', '3'], `${PROMPT}\n`),
      await sampled(['-', '-n', '3'], `${PROMPT}\r\n`),
      await sampled(['--prompt-ids', wanted.join(), '-n', '3']),
    ];
    for (const { prompt_ids, text } of lines) {
      assert.deepEqual(prompt_ids, wanted);
      assert.equal(text, lines[0]!.text);
    }
    const two = await sampled(['-n', '1'], `${PROMPT}\n\n`);
    assert.notDeepEqual(two.prompt_ids, wanted);
  });

  it('is missing where there is none and stdin is closed', async () => {
    const model = await textModel();
    await refused(2, /There is no prompt\.\nhint: .*stdin/, ['-m', model]);
    await refused(2, /There is no prompt\./, ['-m', model, '-'], '\n');
    await refused(2, /Give one of: /, ['-m', model, PROMPT, '--prompt-ids', '2']);
    await refused(2, /"x" is not a token id; give them as 2,651,9/, ['-m', model, '--prompt-ids', '2,x']);
    await refused(3, /Token id 2048 is not one of this model's/, ['-m', model, '--prompt-ids', '2,2048']);
  });

  it('with --chat stands in a turn', async () => {
    const tokenizer = (await openTokenizer(dirname(TOKENIZER)))!;
    const { prompt_ids } = await sampled(['Hello', '--chat', '-n', '1']);
    assert.equal(
      prompt_ids.map((id) => tokenizer.piece(tokenId(id))).join(''),
      '<bos><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n',
    );
  });
});

describe('the output', { skip: NOT_BUILT, concurrency: 2 }, () => {
  it('is the text and a line end on stdout, and the rest on stderr', async () => {
    const { text } = await sampled([PROMPT, '-n', '8']);
    const plain = await sample([PROMPT, '-n', '8']);
    assert.deepEqual([plain.stdout, plain.stderr], [`${text}\n`, `load ${await textModel()}\n`]);
    const quiet = await sample([PROMPT, '-n', '8', '-q', '--stats']);
    assert.deepEqual([quiet.stdout, quiet.stderr], [`${text}\n`, '']);
    const stats = await sample([PROMPT, '-n', '8', '--stats']);
    assert.equal(stats.stdout, `${text}\n`);
    assert.match(
      stats.stderr,
      /\nprompt 5 tokens, [\d.]+ a second; generated 8, [\d.]+ a second; \d.* of state; .* in all\n$/,
    );
  });

  it('with --json has exactly the documented fields', async () => {
    const fields = ['id', 'index', 'sample', 'prompt_ids', 'token_ids', 'text', 'finish_reason', 'timing'];
    const line = await sampled([PROMPT, '-n', '4']);
    assert.deepEqual(Object.keys(line), fields);
    const { timing } = line as unknown as { timing: Record<string, number> };
    assert.deepEqual(Object.keys(timing), ['prefill_ms', 'decode_ms', 'tokens_per_second']);
    for (const value of Object.values(timing)) assert.ok(value > 0);
    assert.deepEqual([line.token_ids.length, line.finish_reason], [4, 'length']);

    const { logprobs, ...rest } = await sampled([PROMPT, '-n', '4', '--logprobs']);
    assert.deepEqual(Object.keys(rest), fields);
    assert.equal(logprobs!.length, 4);
    assert.ok(logprobs!.every((value) => value < 0));
  });

  it('with --echo begins with the prompt, once', async () => {
    const { text } = await sampled([PROMPT, '-n', '4']);
    const [plain, ids, many, json] = [
      await sample([PROMPT, '-n', '4', '-q', '--echo']),
      await sample(['--prompt-ids', '2,2019,302,1541,303', '-n', '4', '-q', '--echo']),
      await sample([PROMPT, '-n', '4', '-q', '--echo', '--samples', '2']),
      await sampled([PROMPT, '-n', '4', '--echo']),
    ];
    assert.equal(plain.stdout, `${PROMPT}${text}\n`);
    assert.equal(ids.stdout, plain.stdout);
    assert.equal(many.stdout, `# 0\n${PROMPT}${text}\n\n# 0 (2)\n${PROMPT}${text}\n`);
    assert.equal(json.text, `${PROMPT}${text}`);
    const numbers = await recgemma([
      'sample',
      '-m',
      await idsModel(),
      '--prompt-ids',
      '2,7',
      '-n',
      '1',
      '--echo',
    ]);
    assert.match(numbers.stdout, /^2 7 \d+\n$/);
  });

  it('with --logprobs lists the tokens under the text', async () => {
    const { text, logprobs } = await sampled([PROMPT, '-n', '3', '--logprobs']);
    const { stdout } = await sample([PROMPT, '-n', '3', '--logprobs', '-q']);
    const [first, ...table] = stdout.trimEnd().split('\n');
    assert.equal(first, text);
    assert.deepEqual(
      table.map((line) => Number(/^ +(-\d+\.\d{4}) {2}\S/.exec(line)![1])),
      logprobs!.map((value) => Number(value.toFixed(4))),
    );
  });

  it('ends before a text given with --stop', async () => {
    const args = [PROMPT, '-n', '24', '-t', '2', '--seed', '5'];
    const whole = await sampled(args);
    const stop = whole.text.slice(9, 14);
    const { text, finish_reason, token_ids } = await sampled([...args, '--stop', 'never', '--stop', stop]);
    assert.equal(text, whole.text.slice(0, whole.text.indexOf(stop)));
    assert.equal(finish_reason, 'stop');
    assert.deepEqual(token_ids, whole.token_ids.slice(0, token_ids.length));
    const plain = await sample([...args, '-q', '--stop', stop]);
    assert.equal(plain.stdout, `${text}\n`);
  });

  it('is drawn from the seed', async () => {
    const draw = (...args: string[]) => sampled([PROMPT, '-n', '12', '-t', '1', ...args]);
    const [one, same, other] = [
      await draw('--seed', '1'),
      await draw('--seed', '1'),
      await draw('--seed', '2'),
    ];
    assert.deepEqual([one.token_ids, one.text], [same.token_ids, same.text]);
    assert.notDeepEqual(one.token_ids, other.token_ids);
    // So hot that two texts are hardly ever the same.
    const hot = [PROMPT, '-n', '12', '-t', '100'];
    const free = [await sampled(hot), await sampled(hot)];
    assert.notDeepEqual(free[0]!.token_ids, free[1]!.token_ids);
    const nucleus = await draw('--seed', '1', '--top-k', '1');
    assert.deepEqual(nucleus.token_ids, (await sampled([PROMPT, '-n', '12'])).token_ids);
  });

  it('has --samples continuations of one prompt, which do not depend on how many there are', async () => {
    const args = [PROMPT, '-n', '6', '-t', '1', '--seed', '3', '--json', '-q'];
    const lines = jsonLines<Line & { sample: number }>(await sample([...args, '--samples', '3']));
    assert.deepEqual(lines.map((line) => line.sample).sort(), [0, 1, 2]);
    assert.equal(new Set(lines.map(({ token_ids }) => token_ids.join())).size, 3);
    const first = lines.find((line) => line.sample === 0)!;
    assert.deepEqual(first.token_ids, jsonLines<Line>(await sample(args))[0]!.token_ids);
  });

  it('is whole characters at every write', async () => {
    const args = [PROMPT, '-n', '600', '-t', '1', '--seed', '1', '--ignore-eos', '-q'];
    const { text, token_ids } = await sampled(args);
    const tokenizer = (await openTokenizer(dirname(TOKENIZER)))!;
    const all = [...tokenizer.encode(PROMPT), ...token_ids.map(tokenId)];
    assert.equal(PROMPT + text, tokenizer.decode(all));
    const child = start(['sample', '-m', await textModel(), ...args]);
    child.stdin.end();
    let streamed = '';
    const utf8 = () => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    child.stdout.on('data', (chunk: Buffer) => {
      streamed += utf8().decode(chunk);
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(status, 0);
    assert.equal(streamed, `${text}\n`);
    const pieces = token_ids.map((id) => tokenizer.piece(tokenId(id))).join('');
    assert.match(pieces, /<0x(C[2-9A-F]|D.)><0x[89AB].>/, 'two bytes that make a character are among them');
  });

  it('is empty for -n 0', async () => {
    const { token_ids, text, finish_reason } = await sampled([PROMPT, '-n', '0']);
    assert.deepEqual([token_ids, text, finish_reason], [[], '', 'length']);
    assert.equal((await sample([PROMPT, '-n', '0', '-q'])).stdout, '\n');
  });
});

describe('what makes no sense', { skip: NOT_BUILT, concurrency: 2 }, () => {
  it('ends with 2 and names the flag and the value', async () => {
    const model = await textModel();
    for (const [args, message] of [
      [['--temperature', '-1'], /--temperature must be a temperature: 0 .* not "-1"/],
      [['--top-p', '2'], /--top-p must be a probability from 0 to 1, not "2"/],
      [['-b', '5000'], /--batch must be a whole number from 1 to 4096, not "5000"/],
      [['-n', 'many'], /--max-tokens must be a whole number, 0 or more, not "many"/],
      [['--device', 'tpu'], /--device must be one of cpu, webgpu, cuda, not "tpu"/],
      [['--save-state', '/no/such/state'], /--save-state must be a file in a folder that exists/],
      [['--load-state', '/no/such/state'], /--load-state must be a path that exists/],
      [['--save-state', 'x', '--samples', '2'], /--save-state keeps one state/],
      [['--max-token', '3'], /There is no flag --max-token\.\nhint: Did you mean --max-tokens\?/],
    ] as const) {
      await refused(2, message, ['-m', model, PROMPT, ...args]);
    }
    await refused(2, /The flag --model is required/, [PROMPT]);
    await refused(2, /--model must be a path that exists, not "\/no\/such"/, ['-m', '/no/such', PROMPT]);
  });

  it('ends with 5 for a device that is not there', async () => {
    await refused(5, /on the CPU only .* not on webgpu/, [
      '-m',
      await textModel(),
      PROMPT,
      '--device',
      'webgpu',
    ]);
  });

  it('ends with 2 for texts where there is no tokenizer', async () => {
    const model = await idsModel();
    await refused(2, /has no tokenizer.*\nhint: Give token ids instead/, ['-m', model, PROMPT]);
    await refused(2, /--stop needs a tokenizer/, ['-m', model, '--prompt-ids', '2', '--stop', 'x']);
  });

  it('takes a batch far larger than the work', async () => {
    const { token_ids } = await sampled([PROMPT, '-n', '2', '-b', '4096']);
    assert.equal(token_ids.length, 2);
  });
});

describe('a model folder that is damaged', { skip: NOT_BUILT, concurrency: 2 }, () => {
  const damages: readonly (readonly [
    what: string,
    message: RegExp,
    damage: (folder: string) => Promise<void>,
  ])[] = [
    ['no weights', /model\.onnx\.data is missing/, (folder) => rm(join(folder, 'model.onnx.data'))],
    [
      'cut weights',
      /model\.onnx\.data is cut off/,
      (folder) => truncate(join(folder, 'model.onnx.data'), 99),
    ],
    ['no graph', /model\.onnx is missing/, (folder) => rm(join(folder, 'model.onnx'))],
    ['no manifest', /has no recgemma\.json/, (folder) => rm(join(folder, 'recgemma.json'))],
    [
      'a broken manifest',
      /recgemma\.json is not JSON/,
      (folder) => writeFile(join(folder, 'recgemma.json'), '{'),
    ],
    ['another schema', /schema version/, (folder) => writeFile(join(folder, 'recgemma.json'), '{}')],
    ['a broken tokenizer', /tokenizer\.model/, (folder) => writeFile(join(folder, 'tokenizer.model'), 'x')],
    [
      'nothing',
      /is not a model folder/,
      (folder) =>
        rm(folder, { recursive: true })
          .then(() => mkdir(folder))
          .then(() => {}),
    ],
  ];
  for (const [what, message, damage] of damages) {
    it(`ends with 3: ${what}`, async () => {
      const folder = join(await temporaryFolder(), 'model');
      await cp(await textModel(), folder, { recursive: true });
      await damage(folder);
      await refused(3, message, ['-m', folder, PROMPT]);
    });
  }
});

it('colours nothing in a pipe, and takes flags from the environment', { skip: NOT_BUILT }, async () => {
  const args = ['sample', '-m', await textModel(), PROMPT];
  const env = { RECGEMMA_MAX_TOKENS: '2', RECGEMMA_JSON: '1', RECGEMMA_STATS: 'true' };
  const child = start(args, { env });
  child.stdin.end();
  const result = await finish(child);
  assert.equal(jsonLines<Line>(result)[0]!.token_ids.length, 2);
  assert.match(result.stderr, /generated 2,/);
  const failed = await recgemma(['sample', '-m', '/no/such', PROMPT]);
  for (const text of [result.stdout, result.stderr, failed.stderr]) assert.ok(!text.includes('\u001b'), text);
});
