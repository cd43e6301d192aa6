/** What a model file's head gives. */

/** Which form of logits a model file gives. */
export type LogitsForm =
  /** Of the rows that the caller names, with top candidates, a target's logit and the log of the normaliser. */
  | 'last'
  /** `logits` `[batch, time, vocab]`, for other tools. */
  | 'all';
