/** What an {@link Engine} and its thread say to each other. */

import type { StateTensor } from '../models/state-tensor.js';
import type { RowState } from './batch-state.js';
import type { ForwardRequest, ForwardResult } from './forward.js';

/** The message after which the thread ends. */
export const CLOSE = 'close';

/** What the thread is started with. */
export interface EngineSetup {
  readonly modelFile: string;
  readonly state: readonly StateTensor[];
  /** CPU threads. */
  readonly threads: number;
  /** Rows that are expected to run together. */
  readonly batch: number;
  /** Keeps weights where they are mapped, not packed for products of many rows: quick to load, half the memory, slow in batches. */
  readonly mapWeights: boolean;
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

/** An answer, or with id 0 the news that the session is loaded or could not be. */
export type EngineReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failed: EngineFailure };

/** What failed: onnxruntime, our own code, or the memory. */
export interface EngineFailure {
  readonly where: 'onnxruntime' | 'state' | 'memory';
  readonly message: string;
}
