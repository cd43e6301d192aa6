/** Generates text for many prompts at once: rows leave when they are done, and the next prompt takes their place. */

import { UsageError } from '../errors.js';
import { StopMatcher } from '../tokenizer/stop-strings.js';
import type { StreamingDecoder, TokenId, Tokenizer } from '../tokenizer/tokenizer.js';
import type { Engine } from './engine.js';
import { prefill } from './prefill.js';
import { createRandom, type Random } from './random.js';
import { chooseToken, headNeeds, type SamplingOptions } from './sampler.js';
import type { SavedState } from './saved-state.js';

/** A caller's own name of a request, given back as it came. */
export type RequestId = string | number;

/** One prompt and what is to be made of it. */
export interface GenerateRequest {
  /** The caller's name for it; results carry it. */
  readonly id: RequestId;
  readonly promptIds: readonly TokenId[];
  /** Independent continuations of the prompt, which is paid for once; default 1. */
  readonly samples?: number;
  /** A state to go on from; the prompt comes after what it holds. */
  readonly state?: SavedState;
}

/** What holds for all requests of a run. */
export interface GenerateOptions extends SamplingOptions {
  readonly maxTokens: number;
  /** Sequences that run together; default 1. */
  readonly batch?: number;
  readonly seed: number;
  /** Tokens that end a text. */
  readonly stopIds?: readonly TokenId[];
  /** Texts that end a text; they are cut off. */
  readonly stopTexts?: readonly string[];
  /** Without one there is no text and stop texts cannot be. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Whether each result carries its state. */
  readonly keepState?: boolean;
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
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly tokensPerSecond: number;
}

/** One continuation in the making; its row is its place in the list of active ones. */
interface Sequence {
  readonly request: GenerateRequest;
  readonly index: number;
  readonly sample: number;
  readonly random: Random;
  readonly decoder: StreamingDecoder | undefined;
  readonly stops: StopMatcher;
  readonly prefillMs: number;
  readonly started: number;
  readonly tokenIds: TokenId[];
  readonly logprobs: number[];
  text: string;
  /** The newest token, which the state has not seen. */
  pending: TokenId;
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
  const needs = headNeeds(options);
  const waiting = admissions(engine, requests, options);
  const active: Sequence[] = [];
  let exhausted = false;
  for (;;) {
    while (!exhausted && active.length < (options.batch ?? 1)) {
      const next = await waiting.next(active.length);
      if (next.done) exhausted = true;
      else if (options.maxTokens > 0) active.push(next.value);
      else yield await finish(engine, next.value, active.length, 'length', options);
    }
    if (active.length === 0) return;
    options.signal?.throwIfAborted();

    const result = await engine.forward({
      firstRow: 0,
      tokens: active.map((sequence) => [sequence.pending]),
      asked: active.map((_, row) => ({ row, offset: 0 })),
      ...needs,
    });
    const finished: [row: number, reason: 'stop' | 'length'][] = [];
    for (const [row, sequence] of active.entries()) {
      const choice = chooseToken(result, row, options, sequence.random);
      const { text, reason } = advance(sequence, choice, options);
      const { request, index, sample } = sequence;
      yield { kind: 'token', id: request.id, index, sample, token: choice.id, logprob: choice.logprob, text };
      if (reason) finished.push([row, reason]);
    }
    for (const [row, reason] of finished) yield await finish(engine, active[row]!, row, reason, options);
    // From the last row down, so that the row that moves into a gap is never one that is finished itself.
    for (const [row] of finished.reverse()) {
      const last = active.pop()!;
      if (row === active.length) continue;
      await engine.copy(active.length, row);
      active[row] = last;
    }
  }
}

/** Prepares one sequence after another in the row it is given; a prompt's state is copied for its further samples. */
async function* admissions(
  engine: Engine,
  requests: Iterable<GenerateRequest>,
  options: GenerateOptions,
): AsyncGenerator<Sequence, void, number> {
  // The first next() carries no value into a generator, and the first row is always free then.
  let row: number = 0;
  let index = 0;
  for (const request of requests) {
    const started = performance.now();
    const ids = [...(request.state?.pendingIds ?? []), ...request.promptIds];
    const pending = ids.pop();
    if (pending === undefined) throw new UsageError(`Prompt "${request.id}" is empty.`);
    await engine.clear(row);
    if (request.state) await engine.import(row, request.state.row);
    await prefill(engine, row, ids, { signal: options.signal });
    const prefillMs = performance.now() - started;
    const samples = request.samples ?? 1;
    const shared = samples > 1 ? await engine.export(row) : undefined;
    for (let sample = 0; sample < samples; sample++) {
      if (shared && sample > 0) await engine.import(row, shared);
      row = yield {
        request,
        index,
        sample,
        random: createRandom(options.seed, index, sample),
        decoder: options.tokenizer?.decoder(),
        stops: new StopMatcher(options.stopTexts ?? []),
        prefillMs,
        started: performance.now(),
        tokenIds: [],
        logprobs: [],
        text: '',
        pending,
      };
    }
    index++;
  }
}

/** Adds a token to a sequence; says what text it completes and whether it was the last. */
function advance(
  sequence: Sequence,
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
  sequence: Sequence,
  row: number,
  finishReason: 'stop' | 'length',
  { keepState }: GenerateOptions,
): Promise<ResultEvent> {
  const rest = sequence.stops.push(sequence.decoder?.end() ?? '');
  const tail = rest.stopped ? rest.text : rest.text + sequence.stops.end();
  const { request, index, sample, tokenIds, logprobs, prefillMs } = sequence;
  const decodeMs = performance.now() - sequence.started;
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
    timing: { prefillMs, decodeMs, tokensPerSecond: (1000 * tokenIds.length) / decodeMs },
    ...(keepState && { state: { row: await engine.export(row), pendingIds: [sequence.pending] } }),
  };
}
