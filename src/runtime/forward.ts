/** One call of the graph: ragged tokens in, state carried on, and of the head's outputs only what was asked for. */

import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { RecgemmaError } from '../errors.js';
import type { BatchState } from './batch-state.js';
import type { StateArray } from './state-arrays.js';

/** A hidden row whose logits are wanted. */
export interface AskedRow {
  /** Which of the call's sequences. */
  readonly row: number;
  /** Which of its tokens in this call. */
  readonly offset: number;
  /** The token whose logit is wanted; 0 where nobody asks. */
  readonly target?: number;
}

/** One call for neighbouring rows of the state. */
export interface ForwardRequest {
  /** The first row of the state that takes part. */
  readonly firstRow: number;
  /** The new tokens of each row; a row without any stays as it is. */
  readonly tokens: readonly (readonly number[])[];
  readonly asked: readonly AskedRow[];
  /** How many of the likeliest tokens to return for each asked row; at least 1. */
  readonly candidates: number;
  /** Whether to return the whole rows of logits as well: `asked * vocab` floats. */
  readonly logits: boolean;
}

/** What the head gave, one entry for each asked row. */
export interface ForwardResult {
  /** `[asked, candidates]`, best first. */
  readonly topLogits: Float32Array;
  readonly topIds: Int32Array;
  readonly targetLogits: Float32Array;
  readonly logSumExp: Float32Array;
  /** `[asked, vocab]`, where asked for. */
  readonly logits?: Float32Array;
}

/** Makes tensors; passed in so that onnxruntime is loaded by whoever needs it. */
export type TensorConstructor = typeof Tensor;

/** Runs one call and updates the state in place. */
export async function forward(
  session: InferenceSession,
  ort: TensorConstructor,
  state: BatchState,
  request: ForwardRequest,
): Promise<ForwardResult> {
  const { firstRow, tokens, asked } = request;
  const batch = tokens.length;
  const lengths = tokens.map((row) => row.length);
  const time = Math.max(...lengths);
  // onnxruntime's CPU TopK ends the whole process on an empty axis, so no empty axis may ever reach it.
  if (!(batch >= 1 && time >= 1 && request.candidates >= 1)) {
    throw new RecgemmaError('failed', `a call of ${batch} rows of ${time} tokens makes no sense`);
  }
  state.reserve(firstRow + batch);

  const int64 = (values: readonly number[], dims: readonly number[]) =>
    new ort(
      'int64',
      BigInt64Array.from(values, (value) => BigInt(value)),
      dims,
    );
  const rows = asked.length > 0 ? asked : [{ row: 0, offset: 0 }];
  const feeds: Record<string, Tensor> = {
    input_ids: int64(
      tokens.flatMap((row) => padRight(row, time)),
      [batch, time],
    ),
    num_tokens: int64(
      tokens.map((_, i) => state.numTokens(firstRow + i)),
      [batch],
    ),
    padding: int64(
      lengths.map((length) => time - length),
      [batch],
    ),
    rows: int64(
      rows.map(({ row, offset }) => row * time + offset),
      [rows.length],
    ),
    targets: int64(
      rows.map(({ target }) => target ?? 0),
      [rows.length],
    ),
    k: int64([request.candidates], [1]),
  };
  for (const { name, dtype, data, dims } of state.inputs(firstRow, batch)) {
    feeds[name] = new ort(dtype, data, dims);
  }

  const wanted = session.outputNames.filter((name) => name.startsWith('present.'));
  if (asked.length > 0) wanted.push('top_logits', 'top_ids', 'target_logit', 'log_sum_exp');
  if (asked.length > 0 && request.logits) wanted.push('logits');
  const outputs = await session.run(feeds, wanted);
  const floats = (name: string) => outputs[name]!.data as Float32Array;

  state.update(firstRow, lengths, time, (name) => outputs[name]!.data as StateArray);
  if (asked.length === 0) return NOTHING_ASKED;
  return {
    topLogits: floats('top_logits'),
    topIds: Int32Array.from(outputs.top_ids!.data as BigInt64Array, Number),
    targetLogits: floats('target_logit'),
    logSumExp: floats('log_sum_exp'),
    ...(request.logits && { logits: floats('logits') }),
  };
}

const NOTHING_ASKED: ForwardResult = {
  topLogits: new Float32Array(0),
  topIds: new Int32Array(0),
  targetLogits: new Float32Array(0),
  logSumExp: new Float32Array(0),
};

function padRight(row: readonly number[], time: number): number[] {
  return row.length === time ? [...row] : [...row, ...new Array<number>(time - row.length).fill(0)];
}
