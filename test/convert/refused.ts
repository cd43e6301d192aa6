/** Conversions that must not succeed. */

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ConvertOptions, convert } from '../../src/convert/convert.js';
import type { RecgemmaError } from '../../src/errors.js';
import { temporaryFolder } from '../support/goldens.js';

/** Converts to a new place, expects an error of this kind, and that the place is as empty as before. */
export async function refused(
  options: Omit<ConvertOptions, 'out'>,
  type: new (...args: never[]) => RecgemmaError,
): Promise<RecgemmaError> {
  const folder = await temporaryFolder();
  let thrown: unknown;
  await assert.rejects(convert({ ...options, out: join(folder, 'model') }), (error) => {
    thrown = error;
    return true;
  });
  assert.ok(thrown instanceof type, String((thrown as Error).stack));
  assert.deepEqual(await readdir(folder), []);
  return thrown;
}
