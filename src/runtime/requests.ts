/** The lines that `sample --prompts` and `score --input` read, and those that they write. */

import { InputError } from '../errors.js';
import type { GenerateRequest, ResultEvent } from './generate.js';
import { idField, idsField, type JsonLine, textField } from './json-lines.js';
import type { ScoreRequest, ScoreResult } from './score.js';
import type { Prompt, TextModel } from './text-model.js';

/** Takes `{"id"?, "prompt": text}` or `{"id"?, "prompt_ids": [..]}`, one a line. @throws InputError naming the line. */
export async function readPrompts(
  lines: AsyncIterable<JsonLine>,
  model: TextModel,
  options: { readonly chat?: boolean; readonly samples?: number } = {},
): Promise<GenerateRequest[]> {
  const requests: GenerateRequest[] = [];
  for await (const line of lines) {
    const text = textField(line, 'prompt');
    const ids = idsField(line, 'prompt_ids');
    const prompt: Prompt | undefined = ids ? { ids } : text !== undefined ? { text } : undefined;
    if (!prompt) throw new InputError(`${line.place} has neither "prompt" nor "prompt_ids".`);
    const promptIds = await atPlace(line.place, () => model.promptIds(prompt, options));
    if (promptIds.length === 0) throw new InputError(`${line.place} has an empty prompt.`);
    const samples = options.samples ?? 1;
    requests.push({ id: idField(line, requests.length), promptIds, samples });
  }
  return requests;
}

/**
 * Takes `{"id"?, "context" | "context_ids", "continuation" | "continuation_ids"}`, one a line; ids are used as they are.
 * @throws InputError naming the line.
 */
export async function* readScoreRequests(
  lines: AsyncIterable<JsonLine>,
  model: TextModel,
): AsyncGenerator<ScoreRequest> {
  let index = 0;
  for await (const line of lines) {
    const [context, continuation] = [textField(line, 'context'), textField(line, 'continuation')];
    const [contextIds, continuationIds] = [idsField(line, 'context_ids'), idsField(line, 'continuation_ids')];
    const pair = await atPlace(line.place, async () => {
      if (contextIds && continuationIds) {
        return { contextIds: model.checkIds(contextIds), continuationIds: model.checkIds(continuationIds) };
      }
      if (context !== undefined && continuation !== undefined) return model.pairIds(context, continuation);
      throw new InputError('it needs "context" and "continuation", or "context_ids" and "continuation_ids".');
    });
    if (pair.contextIds.length === 0) throw new InputError(`${line.place} has an empty context.`);
    if (pair.continuationIds.length === 0) throw new InputError(`${line.place} has an empty continuation.`);
    yield { id: idField(line, index), ...pair };
    index++;
  }
}

/** A finished continuation as a line of output. */
export function resultLine(result: ResultEvent, options: { logprobs: boolean; prefix?: string }): object {
  const { id, index, sample, promptIds, tokenIds, text, logprobs, finishReason, timing } = result;
  return {
    id,
    index,
    sample,
    prompt_ids: promptIds,
    token_ids: tokenIds,
    text: (options.prefix ?? '') + text,
    ...(options.logprobs && { logprobs }),
    finish_reason: finishReason,
    timing: {
      prefill_ms: rounded(timing.prefillMs),
      decode_ms: rounded(timing.decodeMs),
      tokens_per_second: rounded(timing.tokensPerSecond),
    },
  };
}

/** Three decimals: microseconds, below which no clock here means anything. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** A score as a line of output. */
export function scoreLine({ id, logprob, tokenLogprobs, isGreedy, numTokens }: ScoreResult): object {
  return { id, logprob, token_logprobs: tokenLogprobs, is_greedy: isGreedy, num_tokens: numTokens };
}

/** Puts the line before what is wrong with it. */
async function atPlace<T>(place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${place}: ${error.message}`, { cause: error });
    throw error;
  }
}
