/** 8-bit products: the choice of a form, and both forms on this processor. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as onnxruntime from 'onnxruntime-node';
import { UnavailableError } from '../../src/errors.js';
import { chooseInt8Products, type Int8Products, int8ProductsAreExact } from '../../src/runtime/cpu-probe.js';
import { packsWeights, sessionOptions } from '../../src/runtime/session-options.js';

/** A processor on which these forms are exact. */
const exactIn =
  (...forms: readonly Int8Products[]) =>
  async (form: Int8Products) =>
    forms.includes(form);

const sessionEntries = (int8Products: Int8Products, env: NodeJS.ProcessEnv = {}) =>
  sessionOptions({ threads: 2, packWeights: true, int8Products }, env).extra!.session as Record<
    string,
    unknown
  >;

describe('8-bit products', () => {
  it('take the weights as they are where that is exact', async () => {
    assert.equal(await chooseInt8Products(exactIn('direct', 'unsigned')), 'direct');
    assert.equal(sessionEntries('direct').x64quantprecision, undefined);
  });

  it('take unsigned weights where sums of two saturate', async () => {
    const form = await chooseInt8Products(exactIn('unsigned'));
    assert.equal(form, 'unsigned');
    assert.equal(sessionEntries(form).x64quantprecision, '1');
  });

  it('are refused where no form is exact', async () => {
    await assert.rejects(chooseInt8Products(exactIn()), (error) => {
      assert.ok(error instanceof UnavailableError);
      assert.match(error.hint!, /--precision int4/);
      return true;
    });
  });

  it('are exact with unsigned weights on this processor, as on every other', async () => {
    assert.equal(await int8ProductsAreExact(onnxruntime, 'unsigned'), true);
  });

  it('have a form on this processor', async () => {
    const form = await chooseInt8Products((each) => int8ProductsAreExact(onnxruntime, each));
    assert.ok(['direct', 'unsigned'].includes(form));
  });
});

describe('session options', () => {
  it('pack quantized weights always, large floats for batches only', () => {
    const large = 2 ** 31;
    for (const precision of ['int8', 'int4'] as const)
      assert.equal(packsWeights({ precision, bytes: large, batch: 1 }), true);
    assert.equal(packsWeights({ precision: 'fp32', bytes: large, batch: 1 }), false);
    assert.equal(packsWeights({ precision: 'fp32', bytes: large, batch: 4 }), true);
    assert.equal(packsWeights({ precision: 'fp32', bytes: 2 ** 20, batch: 1 }), true);
  });

  it('let threads spin, except in CI', () => {
    assert.deepEqual(sessionEntries('direct').intra_op, { allow_spinning: '1' });
    assert.deepEqual(sessionEntries('direct', { CI: 'true' }).intra_op, { allow_spinning: '0' });
  });
});
