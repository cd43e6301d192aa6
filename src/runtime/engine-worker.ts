/** The thread behind an {@link Engine}: it holds the session and the state, and answers one request after another. */

import { parentPort, workerData } from 'node:worker_threads';
import { UnavailableError } from '../errors.js';
import { BatchState } from './batch-state.js';
import {
  CLOSE,
  type EngineCalls,
  type EngineFailure,
  type EngineMessage,
  type EngineReply,
  type EngineSetup,
} from './engine-calls.js';
import { forward } from './forward.js';
import { loadSession } from './load-session.js';
import { requireStateRoom, scoreBytes } from './state-room.js';

const port = parentPort!;
const setup = workerData as EngineSetup;

async function main(): Promise<void> {
  const onnxruntime = await import('onnxruntime-node');
  const session = await loadSession(onnxruntime, setup, { onNote: (note) => reply({ note }) });
  const state = new BatchState(setup.state, setup.batch);
  const calls: { [C in keyof EngineCalls]: (...args: Parameters<EngineCalls[C]>) => unknown } = {
    forward: async (request) => {
      const { firstRow, tokens } = request;
      const numTokens = Math.max(...tokens.map((row, i) => state.numTokens(firstRow + i) + row.length));
      const time = Math.max(...tokens.map((row) => row.length));
      const callBytes = scoreBytes(tokens.length, time, setup.queryHeads, state.slotsAfter(numTokens));
      // A call of nothing is refused by forward itself.
      if (time > 0) await requireStateRoom(state, { rows: firstRow + tokens.length, numTokens, callBytes });
      return forward(session, onnxruntime.Tensor, state, request);
    },
    clear: async (row) => {
      await requireStateRoom(state, { rows: row + 1, numTokens: 0 });
      state.reserve(row + 1);
      state.clear(row);
    },
    copy: async (from, to) => {
      await requireStateRoom(state, { rows: Math.max(from, to) + 1, numTokens: 0 });
      state.reserve(Math.max(from, to) + 1);
      state.copy(from, to);
    },
    export: (row) => {
      state.reserve(row + 1);
      return state.export(row);
    },
    import: async (row, imported) => {
      await requireStateRoom(state, { rows: row + 1, numTokens: imported.numTokens });
      state.reserve(row + 1);
      state.import(row, imported);
    },
    stateBytes: () => state.bytes,
  };
  // Requests are answered in the order in which they came, so that the state is never touched by two at once.
  let last: Promise<void> = Promise.resolve();
  port.on('message', (message: EngineMessage | typeof CLOSE) => {
    if (message === CLOSE) {
      last = last.then(() => port.close());
      return;
    }
    const { id, call, args } = message;
    const work = calls[call] as (...args: readonly unknown[]) => unknown;
    last = last.then(() => answer(id, async () => work(...args)));
  });
}

async function answer(id: number, work: () => Promise<unknown>): Promise<void> {
  try {
    reply({ id, value: await work() });
  } catch (error) {
    reply({ id, failed: describeFailure(error) });
  }
}

function reply(message: EngineReply): void {
  port.postMessage(message, 'value' in message ? buffersOf(message.value) : []);
}

function describeFailure(error: unknown): EngineFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UnavailableError) return { where: 'machine', message, ...hintOf(error) };
  if (/bad_alloc|Failed to allocate memory|allocation failed|Invalid typed array length/i.test(message)) {
    return { where: 'memory', message };
  }
  // onnxruntime's own errors are plain ones; V8's have classes.
  return {
    where: error instanceof RangeError || error instanceof TypeError ? 'state' : 'onnxruntime',
    message,
  };
}

function hintOf({ hint }: UnavailableError): { hint?: string } {
  return hint === undefined ? {} : { hint };
}

/** The buffers of an answer's arrays, which nobody else holds: they move to the other thread and are not copied. */
function buffersOf(value: unknown): ArrayBuffer[] {
  const parts = typeof value !== 'object' || value === null ? [] : Object.values(value);
  const arrays = parts
    .flatMap((part) => (part instanceof Map ? [...part.values()] : [part]))
    .filter(ArrayBuffer.isView);
  return [...new Set(arrays.map((array) => array.buffer as ArrayBuffer))].filter(
    (buffer) => buffer.byteLength > 0,
  );
}

await answer(0, main);
