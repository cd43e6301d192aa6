/** The error for a weight whose values cannot be stored as was asked. */

import { type ErrorContext, InputError } from '../errors.js';

/** Thrown while a weight is read; who knows the weight's name puts it before the message ({@link UnfitWeightError.of}). */
export class UnfitWeightError extends InputError {
  /** The same error about the weight `name`. */
  of(name: string): UnfitWeightError {
    const context: ErrorContext = {
      ...(this.hint !== undefined && { hint: this.hint }),
      details: { ...this.details, weight: name },
      cause: this,
    };
    return new UnfitWeightError(`The weight "${name}" ${this.message}`, context);
  }
}
