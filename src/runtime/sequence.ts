/** What is fed to the model in one row: a sequence of tokens, where it begins, and what is asked on the way. */

import type { TokenId } from '../tokenizer/tokenizer.js';
import type { RowState } from './batch-state.js';

/** A state that a sequence begins with. */
export interface Start {
  /** How many of the sequence's tokens the state has seen. */
  readonly tokens: number;
  /** Not there yet where it is still being computed. */
  state?: RowState;
}

/** One sequence, as the scheduler feeds it. */
export interface Sequence {
  /** All there is to feed so far. It is over when all of it was fed and nothing was added. */
  readonly tokens: TokenId[];
  /** The logits after this token and all later ones are wanted. */
  readonly askFrom: number;
  /** The tokens asked about: entry i after token `askFrom + i`. */
  readonly targets?: readonly TokenId[];
  /** Without one, the empty state. Let go of when the sequence gets its row. */
  start?: Start | undefined;
}
