/** Generates text for many prompts at once: each sequence draws its next token from what the scheduler's calls answer. */

import { UsageError } from '../errors.js';
import { StopMatcher } from '../tokenizer/stop-strings.js';
import type { StreamingDecoder, TokenId, Tokenizer } from '../tokenizer/tokenizer.js';
import type { Engine } from './engine.js';
import { InOrder } from './in-order.js';
import { createRandom, type Random } from './random.js';
import type { RunStats } from './run-stats.js';
import { chooseToken, headNeeds, type SamplingOptions } from './sampler.js';
import type { SavedState } from './saved-state.js';
import { schedule } from './scheduler.js';
import type { Sequence } from './sequence.js';

/** A caller's own name of a request, given back as it came. */
export type RequestId = string | number;

/** One prompt and what is to be made of it. */
export interface GenerateRequest {
  /** The caller's name for it; results carry it. */
  readonly id: RequestId;
  readonly promptIds: readonly TokenId[];
  /** Independent continuations of the prompt; default 1. A long prompt is paid for once. */
  readonly samples?: number;
  /** A state to go on from; the prompt comes after what it holds. */
  readonly state?: SavedState;
}

/** What holds for all requests of a run. */
export interface GenerateOptions extends SamplingOptions {
  readonly maxTokens: number;
  /** Sequences that run together; default 1. */
  readonly batch?: number;
  /** Results come in the order of the requests, not as they are finished. */
  readonly ordered?: boolean;
  readonly seed: number;
  /** Tokens that end a text. */
  readonly stopIds?: readonly TokenId[];
  /** Texts that end a text; they are cut off. */
  readonly stopTexts?: readonly string[];
  /** Without one there is no text and stop texts cannot be. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Texts stand by themselves, as answers in a chat do: a space that the tokenizer puts before every text is not shown. By default they go on from their prompts'. */
  readonly standAlone?: boolean;
  /** Whether each result carries its state. */
  readonly keepState?: boolean;
  /** Counts what is done. */
  readonly stats?: RunStats | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A token as it comes. */
export interface TokenEvent {
  readonly kind: 'token';
  readonly id: RequestId;
  /** The place of its prompt among the requests. */
  readonly index: number;
  /** Which continuation of its prompt. */
  readonly sample: number;
  readonly token: TokenId;
  readonly logprob: number;
  /** Text that this token completes: often its own, sometimes none yet. */
  readonly text: string;
}

/** A finished continuation. */
export interface ResultEvent {
  readonly kind: 'result';
  readonly id: RequestId;
  readonly index: number;
  readonly sample: number;
  readonly promptIds: readonly TokenId[];
  /** Every token that was drawn, the one that stopped it included. */
  readonly tokenIds: readonly TokenId[];
  /** The text that was held back until now: at the end, and where it might have begun a stop text. */
  readonly tail: string;
  readonly text: string;
  readonly logprobs: readonly number[];
  readonly finishReason: 'stop' | 'length';
  readonly timing: Timing;
  readonly state?: SavedState;
}

/** Milliseconds of wall time, as the sequence saw them. */
export interface Timing {
  /** From when it got its row until its prompt was read. */
  readonly prefillMs: number;
  /** From the call that gave its first token to its last token. */
  readonly decodeMs: number;
  readonly tokensPerSecond: number;
}

/** One continuation in the making. */
interface Continuation extends Sequence {
  readonly request: GenerateRequest;
  readonly index: number;
  readonly sample: number;
  /** Its place among all continuations. */
  readonly place: number;
  readonly random: Random;
  readonly decoder: StreamingDecoder | undefined;
  readonly stops: StopMatcher;
  readonly tokenIds: TokenId[];
  readonly logprobs: number[];
  text: string;
  /** The newest token, which the state has not seen. */
  pending: TokenId;
  prefillMs: number;
  /** When its first token began to be computed. */
  started: number;
}

/**
 * Runs all requests, at most `batch` sequences at a time, and tells of every token and every finished text as it comes. What a
 * request gives does not depend on the others. One run at a time: it uses the engine's rows from the first on.
 * @throws InterruptedError (the signal's reason) between two steps.
 */
export async function* generate(
  engine: Engine,
  requests: Iterable<GenerateRequest>,
  options: GenerateOptions,
): AsyncGenerator<TokenEvent | ResultEvent> {
  const { batch = 1, stats, signal } = options;
  const inOrder = new InOrder<ResultEvent>();
  const run = { batch, stats, signal, needs: headNeeds(options) };
  for await (const reports of schedule(engine, continuations(requests, options), run)) {
    const finished: [sequence: Continuation, row: number, reason: 'stop' | 'length'][] = [];
    for (const { sequence, row, entered, began, answers } of reports) {
      if (!answers) {
        sequence.prefillMs = performance.now() - entered;
        if (options.maxTokens > 0) sequence.tokens.push(sequence.pending);
        else finished.push([sequence, row, 'length']);
        continue;
      }
      if (sequence.tokenIds.length === 0) sequence.started = began;
      const choice = chooseToken(answers.result, answers.first, options, sequence.random);
      const { text, reason } = advance(sequence, choice, options);
      const { request, index, sample } = sequence;
      yield { kind: 'token', id: request.id, index, sample, token: choice.id, logprob: choice.logprob, text };
      if (reason) finished.push([sequence, row, reason]);
      else sequence.tokens.push(sequence.pending);
    }
    for (const [sequence, row, reason] of finished) {
      const result = await finish(engine, sequence, row, reason, options);
      if (options.ordered) yield* inOrder.add(sequence.place, result);
      else yield result;
    }
  }
}

/** As many of a prompt's last ids say how its text goes on: the bytes of a character, and whether there was any text. */
const DECODING_CONTEXT = 32;

/** The sequences to run: prompts without their last token, after which the first token is drawn. */
function* continuations(
  requests: Iterable<GenerateRequest>,
  { seed, tokenizer, stopTexts, standAlone }: GenerateOptions,
): Generator<Continuation> {
  let index = 0;
  let place = 0;
  for (const request of requests) {
    const ids = [...(request.state?.pendingIds ?? []), ...request.promptIds];
    const after = standAlone ? [] : ids.slice(-DECODING_CONTEXT);
    const pending = ids.pop();
    if (pending === undefined) throw new UsageError(`Prompt "${request.id}" is empty.`);
    for (let sample = 0; sample < (request.samples ?? 1); sample++) {
      yield {
        tokens: [...ids],
        askFrom: ids.length,
        ...(request.state && { start: { tokens: 0, state: request.state.row } }),
        request,
        index,
        sample,
        place: place++,
        random: createRandom(seed, index, sample),
        decoder: tokenizer?.decoder({ after }),
        stops: new StopMatcher(stopTexts ?? []),
        tokenIds: [],
        logprobs: [],
        text: '',
        pending,
        prefillMs: 0,
        started: 0,
      };
    }
    index++;
  }
}

/** Adds a token to a continuation; says what text it completes and whether it was the last. */
function advance(
  sequence: Continuation,
  { id, logprob }: { id: TokenId; logprob: number },
  options: GenerateOptions,
): { text: string; reason: 'stop' | 'length' | undefined } {
  sequence.tokenIds.push(id);
  sequence.logprobs.push(logprob);
  sequence.pending = id;
  if (options.stopIds?.includes(id)) return { text: '', reason: 'stop' };
  const { text, stopped } = sequence.stops.push(sequence.decoder?.push(id) ?? '');
  sequence.text += text;
  if (stopped) return { text, reason: 'stop' };
  return { text, reason: sequence.tokenIds.length >= options.maxTokens ? 'length' : undefined };
}

async function finish(
  engine: Engine,
  sequence: Continuation,
  row: number,
  finishReason: 'stop' | 'length',
  { keepState }: GenerateOptions,
): Promise<ResultEvent> {
  const rest = sequence.stops.push(sequence.decoder?.end() ?? '');
  const tail = rest.stopped ? rest.text : rest.text + sequence.stops.end();
  const { request, index, sample, tokenIds, logprobs, prefillMs, started } = sequence;
  const decodeMs = tokenIds.length > 0 ? performance.now() - started : 0;
  return {
    kind: 'result',
    id: request.id,
    index,
    sample,
    promptIds: request.promptIds,
    tokenIds,
    tail,
    text: sequence.text + tail,
    logprobs,
    finishReason,
    timing: { prefillMs, decodeMs, tokensPerSecond: decodeMs > 0 ? (1000 * tokenIds.length) / decodeMs : 0 },
    ...(keepState && { state: { row: await engine.export(row), pendingIds: [sequence.pending] } }),
  };
}
