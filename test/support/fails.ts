/** Errors that are meant for people: their kind and their words. */

import assert from 'node:assert/strict';
import type { RecgemmaError } from '../../src/errors.js';

/** Expects `work` to throw an error of this kind and message, and returns it. */
export function fails(
  work: () => unknown,
  type: new (...args: never[]) => RecgemmaError,
  message: RegExp | string,
): RecgemmaError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof type, String((error as Error).stack));
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
    return error;
  }
  assert.fail(`nothing was thrown; expected ${message}`);
}
