/** Attention over the stored keys and values and the call's own: multi-query, grouped-query or multi-head, of a window or of everything (Griffin paper, section 2.3; recurrentgemma/jax/modules.py). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { KEY_VALUE_FORMS, type KeyValuePrecision } from './key-values.js';
import { dense, linear, linearLayers } from './linear.js';
import type { LayerState } from './model-state.js';
import { applyRope, type Rope, type RopeTable, ropeTable } from './rope.js';
import { gatherTokens, type Sequence, spread } from './sequence.js';

/** The shape of one attention block. */
export interface AttentionConfig {
  readonly width: number;
  readonly numHeads: number;
  /** Heads of keys and values; each serves `numHeads / kvHeads` heads of queries. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Whether the output projection has a bias. */
  readonly outputBias: boolean;
}

/** What every attention block of one call shares. */
export interface AttentionContext {
  readonly rope: RopeTable;
  /** 0 where a query sees a key, and so low elsewhere that its weight is exactly 0; float32 `[batch, 1, time, 1, cached+time]`. */
  readonly mask: Value;
  readonly keyValues: KeyValuePrecision;
}

/** DeepMind's value for a masked score (recurrentgemma/jax/modules.py); close to float32's lowest. */
const MASKED_SCORE = -2.3819763e38;

/** A window that no sequence ever fills, so that slot p holds position p. */
const EVERYTHING = 2 ** 40;

/**
 * Works out {@link AttentionContext} once for all layers.
 * @param window keys that a query sees before itself; all of them where it is undefined.
 */
export function attentionContext(
  m: Scope,
  sequence: Sequence,
  { rope, window, keyValues }: { rope: Rope; window: number | undefined; keyValues: KeyValuePrecision },
): AttentionContext {
  return {
    rope: ropeTable(m.at('rope'), sequence.positions, rope),
    mask: windowMask(m.at('mask'), window ?? EVERYTHING, sequence),
    keyValues,
  };
}

/**
 * A query at position q sees the keys at q - window to q: itself and `window` before it, as DeepMind's code does. (Hugging Face's sees one fewer of the same
 * name.) Slot s holds the last position below num_tokens that is s modulo the window.
 */
function windowMask(m: Scope, window: number, { positions, numTokens }: Sequence): Value {
  const newest = m.unsqueeze(m.sub(numTokens, 1), 1);
  const age = m.mod(m.sub(newest, m.range('cached')), window);
  const keys = m.unsqueeze(m.concat([m.sub(newest, age), positions], 1), 1);
  const queries = m.unsqueeze(positions, 2);

  const written = m.lessOrEqual(0, keys);
  const past = m.lessOrEqual(keys, queries);
  const near = m.lessOrEqual(m.sub(queries, window), keys);
  const hidden = m.sub(1, m.cast(m.and(m.and(written, past), near), 'float32'));
  return m.unsqueeze(m.unsqueeze(m.mul(hidden, MASKED_SCORE), 2), 1);
}

/** The attention block: `[tokens, width]` to the same. Only the new keys and values leave; the caller stores them. */
export function attention(
  m: Scope,
  { width, numHeads, kvHeads, headDim, outputBias }: AttentionConfig,
  x: Value,
  sequence: Sequence,
  { rope, mask, keyValues }: AttentionContext,
  state: LayerState,
): Value {
  const projections = ['proj_q', 'proj_k', 'proj_v'].map((name, i) =>
    dense(m, name, width, (i === 0 ? numHeads : kvHeads) * headDim, { bias: false }),
  );
  const [q, k, v] = linearLayers(m.at('proj_qkv'), x, projections).map((each) => spread(m, each, sequence));
  const group = numHeads / kvHeads;
  const queries = applyRope(
    m,
    m.mul(m.reshape(q!, ['batch', 'time', numHeads, headDim]), headDim ** -0.5),
    rope,
  );
  const keys = applyRope(m, m.reshape(k!, ['batch', 'time', kvHeads, headDim]), rope);
  const mixed = KEY_VALUE_FORMS[keyValues].attend(
    m,
    {
      queries: m.reshape(byHead(m, m.reshape(queries, ['batch', 'time', kvHeads, group * headDim])), [
        'batch',
        kvHeads,
        `${group}*time`,
        headDim,
      ]),
      keys: byHead(m, keys),
      values: byHead(m, m.reshape(v!, ['batch', 'time', kvHeads, headDim])),
      mask,
      group,
    },
    state,
  );
  const heads = byHead(m, m.reshape(mixed, ['batch', kvHeads, 'time', group * headDim]));
  const tokens = gatherTokens(m, m.reshape(heads, ['batch', 'time', numHeads * headDim]), sequence);
  return linear(m, tokens, dense(m, 'proj_final', numHeads * headDim, width, { bias: outputBias }));
}

/** `[batch, time, kv_heads, size]` to `[batch, kv_heads, time, size]`, and back; with one head nothing moves. */
function byHead(m: Scope, x: Value): Value {
  const [batch, first, second, size] = x.axes as [string, string | number, string | number, number];
  const axes = [batch, second, first, size];
  return first === 1 || second === 1 ? m.reshape(x, axes) : m.transpose(x, [0, 2, 1, 3]);
}
