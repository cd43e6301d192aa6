/** How low-level readers report bad bytes without knowing whose bytes they are, and how that becomes a sentence for people. */

import { InputError } from '../../errors.js';

/** Bytes that cannot be what they claim to be. Always caught inside this folder and turned into an {@link InputError}. */
export class Damage extends Error {
  /** True where the bytes simply stop too early, as those of an interrupted download do. */
  readonly truncated: boolean;

  constructor(problem: string, options: { readonly truncated?: boolean } = {}) {
    super(problem);
    this.name = 'Damage';
    this.truncated = options.truncated ?? false;
  }
}

/** The advice for files that end too early. */
export const INCOMPLETE_HINT =
  'The checkpoint seems to be incompletely downloaded or copied: fetch it again.';

/** Turns {@link Damage} into an {@link InputError} about `subject` (a file, an array, …); any other error passes unchanged. */
export function blame(error: unknown, subject: string, details: Readonly<Record<string, unknown>>): unknown {
  if (!(error instanceof Damage)) return error;
  return new InputError(`${subject} cannot be read: ${error.message}.`, {
    ...(error.truncated ? { hint: INCOMPLETE_HINT } : {}),
    details,
    cause: error,
  });
}
