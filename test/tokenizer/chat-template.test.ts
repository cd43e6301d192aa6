/** Chat templates against Python's jinja2 with the settings of transformers. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { InputError, UsageError } from '../../src/errors.js';
import {
  type ChatMessage,
  chatIds,
  chatStopIds,
  loadChatTemplate,
  renderChat,
} from '../../src/tokenizer/chat-template.js';
import { sentencePieceTokenizer } from '../../src/tokenizer/sentencepiece.js';
import type { TokenId } from '../../src/tokenizer/tokenizer.js';
import { jsonTokenizer } from '../../src/tokenizer/tokenizer-json.js';
import { FACTBOOK, recordedBytes, recordedJson } from './recorded.js';

const recorded = recordedJson<{
  readonly templates: Readonly<Record<string, string>>;
  readonly renderings: readonly {
    readonly template: string;
    readonly messages: readonly ChatMessage[];
    readonly addGenerationPrompt: boolean;
    /** Null where the template raised an error. */
    readonly text: string | null;
  }[];
}>('chat.json');

const tokens = { bosToken: '<bos>', eosToken: '<eos>' };

async function assertRendering(
  template: string | undefined,
  row: (typeof recorded.renderings)[number],
): Promise<void> {
  const rendering = renderChat(template, row.messages, {
    ...tokens,
    addGenerationPrompt: row.addGenerationPrompt,
  });
  if (row.text === null) await assert.rejects(rendering, UsageError);
  else assert.equal(await rendering, row.text);
}

describe('conversations as Python writes them', () => {
  for (const [name, template] of Object.entries(recorded.templates)) {
    test(`the template ${name}`, async () => {
      const rows = recorded.renderings.filter((row) => row.template === name);
      assert.ok(rows.length > 10);
      for (const row of rows) await assertRendering(template, row);
    });
  }

  test('Gemma’s rules where there is no template', async () => {
    const rows = recorded.renderings.filter((row) => row.template === 'gemma');
    assert.ok(rows.some((row) => row.text === null) && rows.some((row) => row.text !== null));
    for (const row of rows) await assertRendering(undefined, row);
  });
});

test('a rendered conversation encodes with one BOS and one id a marker', async () => {
  const bytes = await readFile(path.join(FACTBOOK, 'tokenizer.model'));
  const tokenizer = sentencePieceTokenizer(bytes, 'tokenizer.model');
  const ids = await chatIds(tokenizer, undefined, [{ role: 'user', content: 'hi' }]);
  const pieces = ids.map((id) => tokenizer.piece(id));
  assert.deepEqual(pieces.slice(0, 2), ['<bos>', '<start_of_turn>']);
  assert.equal(pieces.filter((piece) => piece === '<bos>').length, 1);
  assert.equal(pieces.filter((piece) => piece === '<start_of_turn>').length, 2);
  assert.deepEqual(chatStopIds(tokenizer), [...tokenizer.eosIds, tokenizer.idOf('<end_of_turn>')]);
});

describe('chats of Mistral, Llama and ChatML, as apply_chat_template has them', () => {
  const chats = recordedJson<{
    readonly templates: Readonly<Record<string, readonly string[]>>;
    readonly rows: readonly {
      readonly tokenizer: string;
      readonly variant: string | null;
      /** Its place among the templates of this tokenizer. */
      readonly template: number;
      readonly messages: readonly ChatMessage[];
      readonly text: string | null;
      readonly ids: TokenId[] | null;
    }[];
  }>('family-chats.json');
  for (const [key, templates] of Object.entries(chats.templates)) {
    test(key, async () => {
      const [name, variant] = key.split(' ');
      const file = recordedJson<object>(`${name}.json`);
      const patch =
        variant === 'None' ? {} : recordedJson<{ patch: object }>(`${name}-${variant}-hf.json`).patch;
      const settings = name === 'neox' ? { bosToken: '<|endoftext|>' } : {};
      const tokenizer = jsonTokenizer(JSON.stringify({ ...file, ...patch }), key, settings);
      const rows = chats.rows.filter((row) => `${row.tokenizer} ${row.variant ?? 'None'}` === key);
      assert.ok(rows.length >= 5);
      for (const { template, messages, text, ids } of rows) {
        const made = chatIds(tokenizer, templates[template], messages);
        if (text === null) await assert.rejects(made, UsageError);
        else assert.deepEqual(await made, ids, text);
      }
    });
  }
});

test('without a template, turns are only written where the vocabulary has them', async () => {
  const tokenizer = sentencePieceTokenizer(recordedBytes('mistral.model'), 'tokenizer.model');
  await assert.rejects(chatIds(tokenizer, undefined, [{ role: 'user', content: 'hi' }]), (error) => {
    return error instanceof UsageError && /no chat template/.test(error.message) && error.hint !== undefined;
  });
});

test('a chat that goes on from a state begins without BOS', async () => {
  const tokenizer = jsonTokenizer(recordedBytes('llama3.json').toString(), 'tokenizer.json');
  const template = "{{ bos_token + messages[0]['content'] }}";
  const messages = [{ role: 'user', content: 'hi' }];
  const fresh = await chatIds(tokenizer, template, messages);
  assert.equal(fresh[0], tokenizer.bosId);
  assert.deepEqual(await chatIds(tokenizer, template, messages, { continued: true }), fresh.slice(1));
});

test('a template may ask whether there are tools and documents', async () => {
  const template = "{{ 'yes' if tools is not none or documents is not none else 'no' }}";
  assert.equal(await renderChat(template, []), 'no');
});

test('templates come from their own file, or from the tokenizer’s configuration', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'recgemma-chat-'));
  const put = (name: string, text: string) => writeFile(path.join(folder, name), text);
  assert.equal(await loadChatTemplate(folder), undefined);
  await put('tokenizer_config.json', JSON.stringify({ chat_template: 'one' }));
  assert.equal(await loadChatTemplate(folder), 'one');
  const named = [
    { name: 'tools', template: 'two' },
    { name: 'default', template: 'three' },
  ];
  await put('tokenizer_config.json', JSON.stringify({ chat_template: named }));
  assert.equal(await loadChatTemplate(folder), 'three');
  await put('chat_template.jinja', 'four');
  assert.equal(await loadChatTemplate(folder), 'four');
  await rm(folder, { recursive: true });
});

describe('bad templates end in an error, soon', () => {
  const loop = '{% for i in range(100000) %}'.repeat(3) + '{% endfor %}'.repeat(3);
  const bad: Readonly<Record<string, string>> = {
    'a broken tag': '{% if %}',
    'no end': '{% for m in messages %}',
    'brackets without end': `{{${'('.repeat(100_000)}`,
    'more than a megabyte': ' '.repeat(2 ** 20 + 1),
    'a loop that does not end': loop,
  };
  for (const [what, template] of Object.entries(bad)) {
    test(what, async () => {
      await assert.rejects(renderChat(template, [{ role: 'user', content: 'x' }]), InputError);
    });
  }
});
