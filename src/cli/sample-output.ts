/** How generated text is written: as it comes, in blocks, or as JSON Lines. */

import type { ResultEvent, TextModel, TokenEvent } from '../index.js';
import type { Console } from './console.js';

/** How {@link sampleWriter} writes. */
export interface SampleOutput {
  /** There is one text only: it streams, without a heading. */
  readonly alone: boolean;
  /** Write the prompt before its continuation. */
  readonly echo: boolean;
  readonly logprobs: boolean;
  /** Writes a finished text as an object. */
  readonly line: (result: ResultEvent, prefix: string) => object;
}

/** Returns what takes the events of a generation one by one. */
export function sampleWriter(
  console: Console,
  { tokenizer }: TextModel,
  { alone, echo, logprobs, line }: SampleOutput,
): (event: TokenEvent | ResultEvent) => void {
  const streams = alone && !console.json;
  let started = false;
  const promptOf = (result: ResultEvent) => (echo ? (tokenizer?.decode(result.promptIds) ?? '') : '');
  const plain = (result: ResultEvent) => {
    if (!tokenizer) return result.tokenIds.join(' ');
    return streams ? result.tail : promptOf(result) + result.text;
  };
  const scores = ({ tokenIds, logprobs: values }: ResultEvent) =>
    tokenIds
      .map((id, i) => `${values[i]!.toFixed(4).padStart(10)}  ${tokenizer?.piece(id) ?? id}\n`)
      .join('');
  return (event) => {
    if (event.kind === 'token') {
      if (!streams || !tokenizer) return;
      started = true;
      console.write(event.text);
      return;
    }
    if (console.json) {
      console.line(line(event, promptOf(event)));
      return;
    }
    if (!alone)
      console.write(
        `${started ? '\n' : ''}# ${event.id}${event.sample > 0 ? ` (${event.sample + 1})` : ''}\n`,
      );
    started = true;
    console.write(`${plain(event)}\n${logprobs ? scores(event) : ''}`);
  };
}
