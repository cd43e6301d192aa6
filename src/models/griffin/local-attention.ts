/** Local multi-query attention over a ring of keys and values (Griffin paper, section 2.3; recurrentgemma/jax/modules.py). */

import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';
import { KEY_VALUE_FORMS, type KeyValuePrecision } from '../layers/key-values.js';
import { dense, linear, linearLayers } from '../layers/linear.js';
import type { LayerState } from '../layers/model-state.js';
import { applyRope, type RopeTable, ropeTable } from '../layers/rope.js';
import { gatherTokens, type Sequence, spread } from '../layers/sequence.js';
import { type GriffinConfig, headDim } from './config.js';

/** What every attention block of one call shares. */
export interface AttentionContext {
  readonly rope: RopeTable;
  /** 0 where a query sees a key, and so low elsewhere that its weight is exactly 0; float32 `[batch, time, 1, cached+time]`. */
  readonly mask: Value;
  readonly keyValues: KeyValuePrecision;
}

/** DeepMind's value for a masked score (recurrentgemma/jax/modules.py); close to float32's lowest. */
const MASKED_SCORE = -2.3819763e38;

/** Works out {@link AttentionContext} once for all layers. */
export function attentionContext(
  m: Scope,
  config: GriffinConfig,
  sequence: Sequence,
  keyValues: KeyValuePrecision,
): AttentionContext {
  return {
    // Griffin rotates the first half of each head only.
    rope: ropeTable(m.at('rope'), sequence.positions, headDim(config) / 2),
    mask: windowMask(m.at('mask'), config.attentionWindowSize, sequence),
    keyValues,
  };
}

/**
 * A query at position q sees the keys at q - window to q: itself and `window` before it, as DeepMind's code does. (Hugging
 * Face's sees one fewer.) The ring's slot s holds the last position below num_tokens that is s modulo the window.
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
  return m.unsqueeze(m.mul(hidden, MASKED_SCORE), 2);
}

/** The attention block: `[tokens, width]` to the same. Only the new keys and values leave; the caller writes the ring. */
export function localAttention(
  m: Scope,
  config: GriffinConfig,
  x: Value,
  sequence: Sequence,
  { rope, mask, keyValues }: AttentionContext,
  state: LayerState,
): Value {
  const { width, numHeads } = config;
  const size = headDim(config);

  const projections = ['proj_q', 'proj_k', 'proj_v'].map((name, i) =>
    dense(m, name, width, i === 0 ? numHeads * size : size, { bias: false }),
  );
  const [q, k, v] = linearLayers(m.at('proj_qkv'), x, projections).map((each) => spread(m, each, sequence));
  const queries = applyRope(m, m.mul(m.reshape(q!, ['batch', 'time', numHeads, size]), size ** -0.5), rope);
  const keys = applyRope(m, m.reshape(k!, ['batch', 'time', 1, size]), rope);
  const values = m.reshape(v!, ['batch', 'time', 1, size]);
  const inputs = {
    queries: m.reshape(queries, ['batch', `${numHeads}*time`, size]),
    keys,
    values,
    mask,
    heads: numHeads,
  };
  const mixed = KEY_VALUE_FORMS[keyValues].attend(m, inputs, state);
  return linear(
    m,
    gatherTokens(m, m.reshape(mixed, ['batch', 'time', width]), sequence),
    dense(m, 'proj_final', width, width),
  );
}
