/** Conversations as the one text that a chat model was trained on. */

import path from 'node:path';
import { InputError, UsageError } from '../errors.js';
import { readOptionalJson, readOptionalText } from './files.js';
import { isRecord } from './json-format.js';
import type { TokenId, Tokenizer } from './tokenizer.js';

/** One turn of a conversation: `system`, `user` or `assistant`, and what it says. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** How a conversation is written. */
export interface ChatOptions {
  /** The text of the control tokens, for templates that write them (`<bos>`). */
  readonly bosToken?: string;
  readonly eosToken?: string;
  /** End with the beginning of the model's turn. Default true. */
  readonly addGenerationPrompt?: boolean;
}

/** Templates in use have at most some 20 KiB. */
const MAX_TEMPLATE_CHARS = 2 ** 20;

/** A template is a program from a file: one that runs longer than this is looping. */
const RENDER_MILLISECONDS = 2_000;

/** Tokens that end a turn in the chat formats in use: Gemma's, ChatML's, Llama 3's (the second where a tool is to answer) and Phi's. */
const TURN_ENDS = ['<end_of_turn>', '<|im_end|>', '<|eot_id|>', '<|eom_id|>', '<|end|>'];

/** The ids that end an answer in a chat: the end of a turn, where the vocabulary has it, and the end of a text. */
export function chatStopIds(tokenizer: Tokenizer): TokenId[] {
  const turnEnds = TURN_ENDS.map((piece) => tokenizer.idOf(piece)).filter((id) => id !== undefined);
  return [...new Set([...tokenizer.eosIds, ...turnEnds])];
}

/**
 * The chat template that a folder holds: `chat_template.jinja`, or `chat_template` in `tokenizer_config.json`
 * (of a list of named ones, the one called `default`); undefined where there is none.
 */
export async function loadChatTemplate(folder: string): Promise<string | undefined> {
  const own = await readOptionalText(path.join(folder, 'chat_template.jinja'));
  if (own !== undefined) return own;
  const template = (await readOptionalJson(path.join(folder, 'tokenizer_config.json')))?.chat_template;
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return undefined;
  const named = template.find((entry) => isRecord(entry) && entry.name === 'default');
  return isRecord(named) && typeof named.template === 'string' ? named.template : undefined;
}

/**
 * The ids of a conversation up to the model's turn, as `apply_chat_template` of transformers has them: special tokens are taken for what
 * they say, also those that a message holds, and BOS is there where the template writes it and nowhere else.
 * @param options.continued the conversation goes on from a state, so the template gets no BOS to begin with.
 * @throws UsageError where there is no template and the vocabulary is not Gemma's; otherwise as {@link renderChat}.
 */
export async function chatIds(
  tokenizer: Tokenizer,
  template: string | undefined,
  messages: readonly ChatMessage[],
  options: { readonly continued?: boolean } = {},
): Promise<TokenId[]> {
  if (template === undefined && tokenizer.idOf('<start_of_turn>') === undefined) {
    throw new UsageError(
      'The model folder holds no chat template, and its tokenizer has not the turns of Gemma.',
      {
        hint: 'Put chat_template.jinja, or a tokenizer_config.json with a chat_template, into it, or write the turns into the prompt.',
      },
    );
  }
  const piece = (id: TokenId | undefined) => (id === undefined ? '' : tokenizer.piece(id));
  const text = await renderChat(template, messages, {
    bosToken: options.continued ? '' : piece(tokenizer.bosId),
    eosToken: piece(tokenizer.eosIds[0]),
  });
  return tokenizer.encode(text, { bos: false, special: true });
}

/**
 * Writes a conversation by a Jinja template, or without one by Gemma's rules. The text holds control tokens, BOS mostly
 * among them: encode it with `{ bos: false, special: true }`, as {@link chatIds} does.
 * @throws UsageError where the template does not take such a conversation; InputError where the template is broken.
 */
export async function renderChat(
  template: string | undefined,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Promise<string> {
  const { bosToken = '', eosToken = '', addGenerationPrompt = true } = options;
  if (template === undefined) return gemmaChat(messages, bosToken, addGenerationPrompt);
  if (template.length > MAX_TEMPLATE_CHARS) {
    throw new InputError(
      `The chat template has ${template.length} characters; at most ${MAX_TEMPLATE_CHARS} are read.`,
    );
  }
  const [{ Template }, { runInNewContext }] = await Promise.all([
    import('@huggingface/jinja'),
    import('node:vm'),
  ]);
  const variables = {
    messages: messages.map(({ role, content }) => ({ role, content })),
    bos_token: bosToken,
    eos_token: eosToken,
    add_generation_prompt: addGenerationPrompt,
    // transformers defines these whether there are any or not, and templates ask whether they are none.
    tools: null,
    documents: null,
  };
  const parsed = parseTemplate(() => new Template(template));
  try {
    // The context is only there for its time limit, which also holds for functions called from inside.
    const render = () => parsed.render(variables);
    return String(runInNewContext('render()', { render }, { timeout: RENDER_MILLISECONDS }));
  } catch (cause) {
    if (isRecord(cause) && cause.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
      throw new InputError(`The chat template runs for more than ${RENDER_MILLISECONDS / 1000} seconds.`);
    }
    // Mostly what the template itself raises: that roles must alternate, that there is no system role.
    return refuse(reasonOf(cause));
  }
}

function parseTemplate<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new InputError(`The chat template is broken: ${reasonOf(cause)}.`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).replace(/\.$/, '');
}

/** Gemma's turns, for checkpoints that come with a `tokenizer.model` only. */
function gemmaChat(messages: readonly ChatMessage[], bosToken: string, addGenerationPrompt: boolean): string {
  const turns = messages.map(({ role, content }, index) => {
    if (role === 'system') refuse('System role not supported');
    if (role !== (index % 2 === 0 ? 'user' : 'assistant')) {
      refuse('Conversation roles must alternate user/assistant/user/assistant/...');
    }
    return `<start_of_turn>${role === 'assistant' ? 'model' : role}\n${content.trim()}<end_of_turn>\n`;
  });
  return bosToken + turns.join('') + (addGenerationPrompt ? '<start_of_turn>model\n' : '');
}

function refuse(reason: string): never {
  throw new UsageError(`The chat template does not take this conversation: ${reason}.`);
}
