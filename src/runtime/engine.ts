/** A loaded model, run in a thread of its own so that the event loop stays free for Ctrl-C and spinners. */

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { InputError, InterruptedError, RecgemmaError, UnavailableError, UsageError } from '../errors.js';
import { MODEL_FILE } from '../graph/save.js';
import { checkModelFiles, folderBytes, type ModelFolder, readModelFolder } from '../manifest.js';
import { longestContext } from '../models/state-tensor.js';
import type { RowState } from './batch-state.js';
import {
  CLOSE,
  type EngineCalls,
  type EngineFailure,
  type EngineMessage,
  type EngineReply,
  type EngineSetup,
} from './engine-calls.js';
import type { ForwardRequest, ForwardResult } from './forward.js';

/** How a model is loaded. */
export interface EngineOptions {
  /** CPU threads; by default one for each core that this process may use. */
  readonly threads?: number | undefined;
  /** Rows that will run together: room for their state is made at once, and weights are laid out for them. Default 1. */
  readonly batch?: number | undefined;
  /** Makes whatever is waited for fail with InterruptedError, at once, as long as the model is loaded. */
  readonly signal?: AbortSignal | undefined;
  /** Told of what loading does beside reading the model, in whole sentences. */
  readonly onNote?: ((text: string) => void) | undefined;
}

/** A model in its thread, with state for as many rows as are used. Close it when done. */
export class Engine {
  readonly folder: ModelFolder;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  readonly #exited: Promise<void>;
  #failure: Error | undefined;
  #nextId = 1;

  private constructor(folder: ModelFolder, worker: Worker, { signal, onNote }: EngineOptions) {
    this.folder = folder;
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    // Whoever waits is told at once; the thread itself can only stop after the call that it is at.
    const abort = () => this.#fail(new InterruptedError());
    signal?.addEventListener('abort', abort, { once: true });
    worker.once('exit', () => signal?.removeEventListener('abort', abort));
    worker.on('message', (reply: EngineReply) => {
      if ('note' in reply) return onNote?.(reply.note);
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ('failed' in reply) waiting?.reject(engineError(reply.failed));
      else waiting?.resolve(reply.value as never);
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new RecgemmaError('failed', 'The model has been closed.')));
  }

  /**
   * Loads a model folder.
   * @throws InputError where it is none, or onnxruntime cannot read it; InterruptedError on abort.
   */
  static async load(path: string, options: EngineOptions = {}): Promise<Engine> {
    const folder = await readModelFolder(path);
    if (options.signal?.aborted) throw new InterruptedError();
    const { manifest } = folder;
    if (manifest.logits !== 'last') {
      throw new UsageError(`${path} was converted with --logits all, a form for other tools.`, {
        hint: 'Convert the checkpoint again without --logits to run it here.',
      });
    }
    await checkModelFiles(folder);
    const bytes = folderBytes(manifest);
    const setup: EngineSetup = {
      modelFile: join(path, MODEL_FILE),
      state: manifest.state,
      queryHeads: manifest.query_heads ?? 0,
      threads: options.threads ?? availableParallelism(),
      batch: options.batch ?? 1,
      precision: manifest.precision,
      bytes,
      hash: folder.hash,
    };
    const worker = new Worker(new URL('./engine-worker.js', import.meta.url), { workerData: setup });
    const engine = new Engine(folder, worker, options);
    try {
      await engine.#reply(0);
      return engine;
    } catch (error) {
      void engine.close();
      if (error instanceof InterruptedError || error instanceof UnavailableError) throw error;
      throw new InputError(`${join(path, MODEL_FILE)} cannot be loaded: ${(error as Error).message}`, {
        hint: `Check its files with: recgemma verify ${path}`,
        cause: error,
      });
    }
  }

  /**
   * Runs one call; see {@link ForwardRequest}. There are never more candidates than tokens in the vocabulary.
   * @throws InputError for a token id that the model has not.
   */
  async forward(request: ForwardRequest): Promise<ForwardResult> {
    this.#checkIds(request);
    const candidates = Math.min(request.candidates, this.folder.manifest.vocab_size);
    return this.#call('forward', { ...request, candidates });
  }

  /** Tokens of the longest sequence that the model was made for, where that has an end. Longer ones are run all the same. */
  get longestContext(): number | undefined {
    return longestContext(this.folder.manifest.state);
  }

  /** Makes a row a new sequence. */
  clear(row: number): Promise<void> {
    return this.#call('clear', row);
  }

  /** Makes row `to` equal to row `from`: a prompt that several continuations share is paid for once. */
  copy(from: number, to: number): Promise<void> {
    return this.#call('copy', from, to);
  }

  /** A copy of one row's state. */
  export(row: number): Promise<RowState> {
    return this.#call('export', row);
  }

  /** Replaces one row's state by a copy made earlier. */
  import(row: number, state: RowState): Promise<void> {
    return this.#call('import', row, state);
  }

  /** Bytes of state that are allocated. */
  stateBytes(): Promise<number> {
    return this.#call('stateBytes');
  }

  /**
   * Ends the thread after the call that it is at, and waits for that, except after an interruption. (Terminating a thread that is inside onnxruntime ends the
   * whole process with an uncaught Napi::Error.)
   */
  async close(): Promise<void> {
    this.#fail(new RecgemmaError('failed', 'The model has been closed.'));
    this.#worker.postMessage(CLOSE);
    if (!(this.#failure instanceof InterruptedError)) await this.#exited;
  }

  #checkIds({ tokens, asked }: ForwardRequest): void {
    const size = this.folder.manifest.vocab_size;
    const ids = [...tokens.flat(), ...asked.map(({ target }) => target ?? 0)];
    const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= size);
    if (bad !== undefined) {
      throw new InputError(`Token id ${bad} is not one of this model's, which are 0 to ${size - 1}.`);
    }
  }

  #call<C extends keyof EngineCalls>(
    call: C,
    ...args: Parameters<EngineCalls[C]>
  ): Promise<ReturnType<EngineCalls[C]>> {
    const id = this.#nextId++;
    const reply = this.#reply<ReturnType<EngineCalls[C]>>(id);
    const message: EngineMessage = { id, call, args };
    this.#worker.postMessage(message);
    return reply;
  }

  #reply<T>(id: number): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure) reject(this.#failure);
      else this.#waiting.set(id, { resolve, reject });
    });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}

function engineError({ where, message, ...context }: EngineFailure): RecgemmaError {
  if (where === 'machine') return new UnavailableError(message, context);
  if (where === 'memory') {
    return new UnavailableError(`There is not enough memory: ${message}`, { hint: 'Try a smaller --batch.' });
  }
  return new RecgemmaError('failed', where === 'onnxruntime' ? `onnxruntime: ${message}` : message);
}
