/** Finding and opening the tokenizer of a folder. */

import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { InputError } from '../../src/errors.js';
import { chatStopIds } from '../../src/tokenizer/chat-template.js';
import { findTokenizer, tokenizerAt } from '../../src/tokenizer/find.js';
import { openTokenizer, openTokenizerFiles } from '../../src/tokenizer/open.js';
import { FACTBOOK, FIXTURES } from './recorded.js';

const modelFile = path.join(FACTBOOK, 'tokenizer.model');
const jsonFile = path.join(FIXTURES, 'tokenizer/factbook-tokenizer.json');
const mistralFile = path.join(FIXTURES, 'tokenizer/mistral.model');
const byteLevelFile = path.join(FIXTURES, 'tokenizer/bytelevel.json');

let root: string;
let folder: string;
before(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'recgemma-open-'));
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(root, 'case-'));
});
after(() => rm(root, { recursive: true }));

const put = (name: string, content: unknown) => writeFile(path.join(folder, name), JSON.stringify(content));

test('a folder without a tokenizer has none', async () => {
  assert.equal(await openTokenizer(folder), undefined);
  assert.equal(await openTokenizer(path.join(folder, 'missing')), undefined);
});

test('tokenizer.model alone, tokenizer.json alone', async () => {
  await cp(modelFile, path.join(folder, 'tokenizer.model'));
  const fromModel = await openTokenizer(folder);
  await rm(path.join(folder, 'tokenizer.model'));
  await cp(jsonFile, path.join(folder, 'tokenizer.json'));
  const fromJson = await openTokenizer(folder);
  assert.deepEqual(fromJson?.encode('The Government'), fromModel?.encode('The Government'));
});

test('of both, tokenizer.model is taken', async () => {
  await cp(modelFile, path.join(folder, 'tokenizer.model'));
  await cp(byteLevelFile, path.join(folder, 'tokenizer.json'));
  assert.equal((await openTokenizer(folder))?.vocabSize, 2048);
});

test('tokenizer.json is taken where tokenizer.model lacks tokens that were added later', async () => {
  await cp(modelFile, path.join(folder, 'tokenizer.model'));
  await cp(byteLevelFile, path.join(folder, 'tokenizer.json'));
  await put('tokenizer_config.json', { added_tokens_decoder: { 2: { content: '<bos>' } } });
  assert.equal((await openTokenizer(folder))?.vocabSize, 2048);
  await put('tokenizer_config.json', { added_tokens_decoder: { 500: { content: '<|im_start|>' } } });
  const tokenizer = await openTokenizer(folder);
  assert.deepEqual([tokenizer?.vocabSize, tokenizer?.idOf('<|im_start|>')], [501, 500]);
});

test('tokenizer.json is taken where tokenizer.model puts a space before texts', async () => {
  await cp(mistralFile, path.join(folder, 'tokenizer.model'));
  assert.equal((await openTokenizer(folder))?.vocabSize, 640);
  await cp(byteLevelFile, path.join(folder, 'tokenizer.json'));
  assert.equal((await openTokenizer(folder))?.vocabSize, 500);
});

test('tokens that were added later are those of tokenizer.model too, where there is no other file', async () => {
  await cp(mistralFile, path.join(folder, 'tokenizer.model'));
  const added = {
    1: { content: '<s>', special: true },
    9: { content: '<|user|>', special: true },
    641: { content: 'two words', special: false },
  };
  await put('tokenizer_config.json', { added_tokens_decoder: added });
  const tokenizer = await openTokenizer(folder);
  assert.equal(tokenizer?.vocabSize, 642);
  const pieces = (special: boolean) =>
    tokenizer!.encode('a<|user|>two words', { bos: false, special }).map((id) => tokenizer!.piece(id));
  assert.deepEqual(pieces(true), ['▁a', '<|user|>', 'two words']);
  assert.ok(pieces(false).length > 5 && pieces(false).at(-1) === 'two words');
  assert.equal(tokenizer?.decode(tokenizer.encode('a<|user|>two words', { special: true })), 'atwo words');
  await put('tokenizer_config.json', { added_tokens_decoder: { 640: { content: '<m>', lstrip: true } } });
  await assert.rejects(
    openTokenizer(folder),
    /tokenizer\.model goes with the added token "<m>", whose "lstrip"/,
  );
  await put('tokenizer_config.json', { added_tokens_decoder: { x: { content: '<m>' } } });
  await assert.rejects(openTokenizer(folder), /tokenizer_config\.json: added_tokens_decoder\["x"\]/);
});

test('Meta’s tokenizer.model of Llama 3 is refused by name, and tokenizer.json taken where it is there', async () => {
  await writeFile(path.join(folder, 'tokenizer.model'), 'IQ== 0\nIg== 1\nIw== 2\n');
  await assert.rejects(openTokenizer(folder), /tokenizer\.model is a list of ranks for tiktoken/);
  await cp(byteLevelFile, path.join(folder, 'tokenizer.json'));
  assert.equal((await openTokenizer(folder))?.vocabSize, 500);
});

test('tokenizer.json is taken where tokenizer.model is of another kind than BPE', async () => {
  const unigram = Buffer.from([0x0a, 0x03, 0x0a, 0x01, 0x61, 0x12, 0x02, 0x18, 0x01]);
  await writeFile(path.join(folder, 'tokenizer.model'), unigram);
  await assert.rejects(openTokenizer(folder), /tokenizer\.model is of type unigram/);
  await cp(byteLevelFile, path.join(folder, 'tokenizer.json'));
  assert.equal((await openTokenizer(folder))?.vocabSize, 500);
});

test('the files beside it say whether BOS is added, and what ends a text', async () => {
  await cp(modelFile, path.join(folder, 'tokenizer.model'));
  await put('tokenizer_config.json', { add_bos_token: false, eos_token: { content: '<end_of_turn>' } });
  await put('config.json', { eos_token_id: 9, bos_token_id: 5 });
  const tokenizer = await openTokenizer(folder);
  const turn = tokenizer?.idOf('<end_of_turn>');
  assert.notEqual(tokenizer?.encode('a')[0], 2);
  assert.equal(tokenizer?.bosId, 2);
  assert.deepEqual(tokenizer?.eosIds, [turn, 9]);
  await put('generation_config.json', { eos_token_id: [1, 7] });
  assert.deepEqual((await openTokenizer(folder))?.eosIds, [turn, 1, 7]);
});

test('byte-level files take their special tokens from the files beside them', async () => {
  await cp(byteLevelFile, path.join(folder, 'tokenizer.json'));
  await put('config.json', { eos_token_id: 0, bos_token_id: 0, pad_token_id: null });
  const tokenizer = await openTokenizer(folder);
  assert.deepEqual([tokenizer?.bosId, tokenizer?.eosIds, tokenizer?.padId], [0, [0], undefined]);
});

test('special tokens are named by special_tokens_map.json where tokenizer_config.json does not', async () => {
  await cp(byteLevelFile, path.join(folder, 'tokenizer.json'));
  await put('special_tokens_map.json', { bos_token: '<|im_end|>', eos_token: { content: '<|im_end|>' } });
  const fromMap = await openTokenizer(folder);
  assert.deepEqual([fromMap?.bosId, fromMap?.eosIds], [1, [1]]);
  await put('tokenizer_config.json', { bos_token: '<|endoftext|>', eos_token: '<|endoftext|>' });
  const fromConfig = await openTokenizer(folder);
  assert.deepEqual([fromConfig?.bosId, fromConfig?.eosIds], [0, [0]]);
});

test('Llama 3’s list of ends is known, and the end of a turn in a chat', async () => {
  await cp(path.join(FIXTURES, 'tokenizer/llama3.json'), path.join(folder, 'tokenizer.json'));
  await put('tokenizer_config.json', { bos_token: '<|begin_of_text|>', eos_token: '<|end_of_text|>' });
  const tokenizer = (await openTokenizer(folder))!;
  const [end, message, turn] = ['<|end_of_text|>', '<|eom_id|>', '<|eot_id|>'].map((piece) =>
    tokenizer.idOf(piece),
  );
  assert.deepEqual(tokenizer.eosIds, [end]);
  assert.deepEqual(chatStopIds(tokenizer), [end, turn, message]);
  await put('generation_config.json', { eos_token_id: [end, turn] });
  assert.deepEqual((await openTokenizer(folder))?.eosIds, [end, turn]);
});

test('damaged files beside it are named', async () => {
  await cp(modelFile, path.join(folder, 'tokenizer.model'));
  await writeFile(path.join(folder, 'generation_config.json'), '{"eos_token_id": ');
  await assert.rejects(openTokenizer(folder), (error) => {
    return error instanceof InputError && error.message.includes('generation_config.json is not valid JSON');
  });
});

test('a folder in a file’s place is refused', async () => {
  await mkdir(path.join(folder, 'tokenizer.model'));
  await assert.rejects(openTokenizer(folder), /not an ordinary file/);
});

test('a file far too large is refused unread', async () => {
  await writeFile(path.join(folder, 'tokenizer.json'), '');
  await truncate(path.join(folder, 'tokenizer.json'), 2 ** 33);
  await assert.rejects(openTokenizer(folder), /tokenizer\.json has 8589934592 bytes/);
});

/** The files found for a checkpoint, relative to the folder. */
async function found(checkpoint: string): Promise<string[]> {
  const { files, elsewhere } = await findTokenizer(checkpoint);
  const own = checkpoint.endsWith('.pt') ? path.dirname(checkpoint) : checkpoint;
  assert.equal(elsewhere, files.size > 0 && path.dirname([...files.values()][0]!) !== own);
  return [...files.values()].map((file) => path.relative(folder, file));
}

test('files are found beside a checkpoint, one level down, and one level up', async () => {
  const nested = path.join(folder, '2b-it');
  await mkdir(nested);
  await writeFile(path.join(nested, 'weights.pt'), '');
  assert.deepEqual(await found(nested), []);

  await cp(modelFile, path.join(folder, 'tokenizer.model'));
  await put('tokenizer_config.json', {});
  const above = ['tokenizer.model', 'tokenizer_config.json'];
  assert.deepEqual(await found(folder), above);
  assert.deepEqual(await found(nested), above);
  assert.deepEqual(await found(path.join(nested, 'weights.pt')), above);

  await cp(jsonFile, path.join(nested, 'tokenizer.json'));
  assert.deepEqual(await found(nested), ['2b-it/tokenizer.json']);
  await rm(path.join(folder, 'tokenizer.model'));
  assert.deepEqual(await found(folder), ['2b-it/tokenizer.json']);
});

test('one level down, neither another model nor one of several tokenizers is taken', async () => {
  for (const name of ['one', 'two', 'three']) {
    await mkdir(path.join(folder, name));
    await cp(jsonFile, path.join(folder, name, 'tokenizer.json'));
  }
  await put('one/config.json', {});
  await put('two/recgemma.json', {});
  assert.deepEqual(await found(folder), ['three/tokenizer.json']);
  await rm(path.join(folder, 'two/recgemma.json'));
  const { files, rivals } = await findTokenizer(folder);
  assert.deepEqual([files.size, rivals], [0, ['three', 'two'].map((name) => path.join(folder, name))]);
});

test('a folder that is named is looked into, and not around', async () => {
  const [inner, outer] = [path.join(folder, 'a/b'), path.join(folder, 'a')];
  await mkdir(inner, { recursive: true });
  await cp(jsonFile, path.join(outer, 'tokenizer.json'));
  for (const place of [inner, folder]) assert.equal((await tokenizerAt(place)).size, 0);
  assert.deepEqual([...(await tokenizerAt(outer)).keys()], ['tokenizer.json']);
});

test('of a file that is named, no other vocabulary is taken, and its kind is told by its content', async () => {
  await cp(modelFile, path.join(folder, 'tokenizer.model'));
  await put('tokenizer_config.json', {});
  for (const [source, name, kind, size] of [
    [byteLevelFile, 'tokenizer.json', 'tokenizer.json', 500],
    [byteLevelFile, 'mine', 'tokenizer.json', 500],
    [modelFile, 'mine.json', 'tokenizer.model', 2048],
  ] as const) {
    const file = path.join(folder, name);
    await cp(source, file);
    const files = await tokenizerAt(file);
    const companion = path.join(folder, 'tokenizer_config.json');
    assert.deepEqual(
      [...files],
      [
        [kind, file],
        ['tokenizer_config.json', companion],
      ],
    );
    assert.equal((await openTokenizerFiles(files))?.vocabSize, size);
  }
});

test('a file that is named but holds no vocabulary is refused', async () => {
  for (const content of ['hello', '{"hello": 1}', '']) {
    const file = path.join(folder, 'tokenizer.txt');
    await writeFile(file, content);
    await assert.rejects(
      tokenizerAt(file).then(openTokenizerFiles),
      (error) => error instanceof InputError && error.message.startsWith(file),
    );
  }
});
