/** What an {@link Engine} and its thread say to each other. */

import type { StateTensor } from '../models/state-tensor.js';
import type { RowState } from './batch-state.js';
import type { ForwardRequest, ForwardResult } from './forward.js';
import type { LoadedModel } from './load-session.js';

/** The message after which the thread ends. */
export const CLOSE = 'close';

/** What the thread is started with. */
export interface EngineSetup extends LoadedModel {
  readonly state: readonly StateTensor[];
  /** Heads of queries in an attention layer; 0 where there is none. */
  readonly queryHeads: number;
}

/** What can be asked of the thread; each name is a method of {@link Engine}. */
export interface EngineCalls {
  forward(request: ForwardRequest): ForwardResult;
  clear(row: number): void;
  copy(from: number, to: number): void;
  export(row: number): RowState;
  import(row: number, state: RowState): void;
  stateBytes(): number;
}

/** A request; its answer carries the same id. */
export interface EngineMessage {
  readonly id: number;
  readonly call: keyof EngineCalls;
  readonly args: readonly unknown[];
}

/** An answer, or with id 0 the news that the session is loaded or could not be; or a note on the loading. */
export type EngineReply =
  | { readonly note: string }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failed: EngineFailure };

/** What failed: onnxruntime, our own code, an allocation, or what the machine is said to lack. */
export interface EngineFailure {
  readonly where: 'onnxruntime' | 'state' | 'memory' | 'machine';
  readonly message: string;
  readonly hint?: string;
}
