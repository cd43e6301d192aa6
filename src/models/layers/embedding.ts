/** Token embeddings, and the factor that Gemma-like models put on them. */

import type { Value } from '../../graph/graph.js';
import type { Table } from '../../graph/matrix-form.js';
import type { Scope } from '../../graph/scope.js';

/** The matrix `[vocab, width]` at `m.at(place)`, to look tokens up in, to give logits by, or both. */
export function tokenTable(m: Scope, place: string, name: string, shape: readonly [number, number]): Table {
  const at = m.at(place);
  return m.matrices.table(at, name, at.tensor(name, shape));
}

/** Rows of `table` for `ids` `[tokens]`, times `scale`: `[tokens, width]`. */
export function embed(m: Scope, table: Table, ids: Value, scale: number): Value {
  const rows = table.lookUp(ids);
  return scale === 1 ? rows : m.mul(rows, scale);
}

/** The nearest bfloat16, ties to even: DeepMind rounds `sqrt(width)` so, whatever the dtype (recurrentgemma/jax/modules.py, Embedder). */
export function roundToBfloat16(value: number): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer);
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0]!;
}
