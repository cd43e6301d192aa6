/** The output head: logits of the asked rows only, and what sampling and scoring want of them, so that nobody copies 256000 floats for nothing. */

import type { Value } from '../../graph/graph.js';
import type { Table } from '../../graph/matrix-form.js';
import type { Scope } from '../../graph/scope.js';
import type { LogitsForm } from '../logits-form.js';
import { fillGroups, takeRows } from './row-groups.js';
import { type Sequence, spread } from './sequence.js';

/** What the head needs beside the hidden states. */
export interface HeadConfig {
  /** The output matrix; the embedding where they are tied. */
  readonly table: Table;
  /** Logits are squeezed into ±cap by `cap * tanh(logits / cap)`; 0 leaves them alone. */
  readonly softCap: number;
  readonly form: LogitsForm;
  /** The last norm, put on the rows that are asked for and on no other. */
  readonly norm: (x: Value) => Value;
}

/**
 * Ends a model: declares the head's inputs and outputs for hidden states `x` `[tokens, width]`. Outside, a token is still named by its place in the flat
 * `[batch*time]`.
 */
export function outputHead(m: Scope, x: Value, sequence: Sequence, config: HeadConfig): void {
  if (config.form === 'all') {
    m.graph.output('logits', spread(m, project(m, x, config), sequence));
    return;
  }
  const rows = m.graph.input('rows', 'int64', ['rows']);
  const targets = m.graph.input('targets', 'int64', ['rows']);
  const k = m.graph.input('k', 'int64', [1]);

  const sources = m.reshape(sequence.sources, ['batch*time']);
  const asked = fillGroups(m, m.gather(sources, rows), 'grouped_rows');
  const logits = takeRows(m, project(m, m.gather(x, asked), config), 'rows');
  const [topLogits, topIds] = m.topK(logits, k, 'k');
  m.graph.output('top_logits', topLogits);
  m.graph.output('top_ids', topIds);
  m.graph.output('target_logit', m.squeezeLast(m.gatherElements(logits, m.unsqueeze(targets, 1))));
  m.graph.output('log_sum_exp', logSumExp(m, logits, config.softCap));
  m.graph.output('logits', logits);
}

function project(m: Scope, x: Value, { table, softCap, norm }: HeadConfig): Value {
  const rows = norm(x);
  // Dividing the rows is the same as dividing the logits, and there are a hundred times fewer of them.
  return softCap ? m.mul(m.tanh(table.product(m.mul(rows, 1 / softCap))), softCap) : table.product(rows);
}

/** The largest float32 is e^88; below this cap even a million equal logits do not reach it. */
const SAFE_CAP = 70;

/**
 * `log(sum(exp(x)))` over the last axis, which goes. ONNX Runtime's own ReduceLogSumExp adds one by one and is off by 4e-4 at
 * 256000 elements; this is off by 3e-5, in the same time. Capped logits need no maximum taken off first.
 */
function logSumExp(m: Scope, x: Value, softCap: number): Value {
  if (softCap > 0 && softCap <= SAFE_CAP) return m.squeezeLast(m.log(m.sumLast(m.exp(x))));
  const max = m.maxLast(x);
  return m.squeezeLast(m.add(m.log(m.sumLast(m.exp(m.sub(x, max)))), max));
}
