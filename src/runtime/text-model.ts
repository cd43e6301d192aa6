/** A loaded model with its tokenizer: the rules by which prompts and continuations become ids. */

import { InputError, UsageError } from '../errors.js';
import { chatIds, chatStopIds, loadChatTemplate } from '../tokenizer/chat-template.js';
import { openTokenizer, readSettings } from '../tokenizer/open.js';
import { type PairIds, pairIds, prefixId } from '../tokenizer/score-pair.js';
import { type TokenId, type Tokenizer, tokenId } from '../tokenizer/tokenizer.js';
import { Engine, type EngineOptions } from './engine.js';

/** A prompt as a user gives it: a text, or ids that are used as they are. */
export type Prompt = { readonly text: string } | { readonly ids: readonly number[] };

/** A model and its tokenizer; without one it takes and gives ids only. Close it when done. */
export class TextModel {
  private constructor(
    readonly engine: Engine,
    readonly tokenizer: Tokenizer | undefined,
    readonly chatTemplate: string | undefined,
    /** Tokens that end a sequence: the tokenizer's or, without one, those of `generation_config.json`. */
    readonly eosIds: readonly TokenId[],
  ) {}

  /** Loads a model folder. @throws InputError where it cannot be used. */
  static async load(path: string, options: EngineOptions = {}): Promise<TextModel> {
    const engine = await Engine.load(path, options);
    try {
      const tokenizer = await openTokenizer(path);
      const eosIds = tokenizer?.eosIds ?? (await readSettings(path)).eosIds?.map(tokenId) ?? [];
      return new TextModel(engine, tokenizer, await loadChatTemplate(path), eosIds);
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /** Tokens that end a generated text: the end of the sequence, and in a chat the end of a turn. */
  stopIds(options: { readonly chat: boolean }): readonly TokenId[] {
    return options.chat && this.tokenizer ? chatStopIds(this.tokenizer) : this.eosIds;
  }

  /**
   * A prompt's ids: a text begins with BOS where the tokenizer adds one, and in a chat stands in its turn.
   * @param options.continued the prompt goes on from a state, so no BOS, no space and no beginning of a chat is put before it.
   * @throws UsageError for a text where there is no tokenizer, InputError for ids that the model has not.
   */
  async promptIds(
    prompt: Prompt,
    options: { readonly chat?: boolean; readonly continued?: boolean } = {},
  ): Promise<TokenId[]> {
    if ('ids' in prompt) return this.checkIds(prompt.ids);
    const tokenizer = this.#required();
    const { chat = false, continued = false } = options;
    const messages = [{ role: 'user', content: prompt.text }];
    if (chat) return chatIds(tokenizer, this.chatTemplate, messages, { continued });
    return tokenizer.encode(prompt.text, continued ? { bos: false, continues: true } : {});
  }

  /** The ids of a text by itself, without BOS. @throws UsageError where there is no tokenizer. */
  textIds(text: string): TokenId[] {
    return this.#required().encode(text, { bos: false });
  }

  /** The ids of a context and its continuation, see {@link pairIds}. @throws UsageError where there is no tokenizer. */
  pairIds(context: string, continuation: string): PairIds {
    return pairIds(this.#required(), context, continuation);
  }

  /** The token that a text is scored after where nothing comes before it. @throws UsageError where the tokenizer has none. */
  prefixId(): TokenId {
    return prefixId(this.#required());
  }

  /** Plain numbers as ids of this model. @throws InputError for one that it has not. */
  checkIds(ids: readonly number[]): TokenId[] {
    const size = this.engine.folder.manifest.vocab_size;
    const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= size);
    if (bad === undefined) return ids.map(tokenId);
    throw new InputError(`Token id ${bad} is not one of this model's, which are 0 to ${size - 1}.`);
  }

  async close(): Promise<void> {
    await this.engine.close();
  }

  #required(): Tokenizer {
    if (this.tokenizer) return this.tokenizer;
    throw new UsageError(`${this.engine.folder.path} has no tokenizer: it takes and gives token ids only.`, {
      hint: 'Give token ids instead of texts, or convert the checkpoint again with --tokenizer.',
    });
  }
}

/** Token ids as a user types them: `2,651, 9`. @throws UsageError for anything else. */
export function parseIds(text: string): number[] {
  const ids = text.split(/[\s,]+/).filter((part) => part !== '');
  const bad = ids.find((id) => !/^\d{1,9}$/.test(id));
  if (bad === undefined && ids.length > 0) return ids.map(Number);
  throw new UsageError(`"${bad ?? text}" is not a token id; give them as 2,651,9.`);
}
