/** How generated text is written: as it comes, in blocks, or as JSON Lines. */

import type { GenerateRequest, ResultEvent, TextModel, TokenEvent } from '../index.js';
import type { Console } from './console.js';

/** How {@link sampleWriter} writes. */
export interface SampleOutput {
  /** The request, where it gives the only text there will be: that one streams, without a heading. */
  readonly alone: GenerateRequest | undefined;
  /** Write the prompt before its continuation. */
  readonly echo: boolean;
  readonly logprobs: boolean;
  /** Writes a finished text as an object. */
  readonly line: (result: ResultEvent, prefix: string) => object;
}

/** Writes a generation. */
export interface SampleWriter {
  /** Takes the events one by one. */
  write(event: TokenEvent | ResultEvent): void;
  /** Ends the line of a text that will not be finished. */
  cut(): void;
}

/** Starts a generation's output: a prompt whose text streams is written before any event comes. */
export function sampleWriter(
  console: Console,
  { tokenizer }: TextModel,
  { alone, echo, logprobs, line }: SampleOutput,
): SampleWriter {
  const streams = alone !== undefined && !console.json;
  let started = false;
  let midLine = false;
  const promptOf = ({ promptIds }: Pick<GenerateRequest, 'promptIds'>) => {
    if (!echo) return '';
    return tokenizer ? tokenizer.decode(promptIds) : promptIds.map((id) => `${id} `).join('');
  };
  const plain = (result: ResultEvent) => {
    const text = tokenizer ? (streams ? result.tail : result.text) : result.tokenIds.join(' ');
    return streams ? text : promptOf(result) + text;
  };
  const scores = ({ tokenIds, logprobs: values }: ResultEvent) =>
    tokenIds
      .map((id, i) => `${values[i]!.toFixed(4).padStart(10)}  ${tokenizer?.piece(id) ?? id}\n`)
      .join('');
  if (streams) console.write(promptOf(alone));
  const write = (event: TokenEvent | ResultEvent) => {
    midLine = event.kind === 'token' && streams && tokenizer !== undefined;
    if (event.kind === 'token') {
      if (midLine) console.write(event.text);
      return;
    }
    if (console.json) {
      console.line(line(event, tokenizer ? promptOf(event) : ''));
      return;
    }
    if (alone === undefined)
      console.write(
        `${started ? '\n' : ''}# ${event.id}${event.sample > 0 ? ` (${event.sample + 1})` : ''}\n`,
      );
    started = true;
    console.write(`${plain(event)}\n${logprobs ? scores(event) : ''}`);
  };
  return { write, cut: () => midLine && console.write('\n') };
}
