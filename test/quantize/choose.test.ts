/** The form of an int8 matrix follows where its outliers lie. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { swapAxes } from '../../src/graph/transform.js';
import { chooseInt8Form } from '../../src/quantize/choose.js';
import { releasePool } from '../../src/quantize/pool.js';
import { counted, gaussian, tensorOf } from './matrices.js';

after(releasePool);

const [inputs, outputs] = [512, 64];

/** Gaussian weights, those of some rows `factor` times as large. */
function withOutliers(isOutlier: (input: number) => boolean, factor: number, rows = inputs) {
  const weights = gaussian(rows * outputs);
  for (let i = 0; i < weights.length; i++) {
    if (isOutlier(Math.floor(i / outputs))) weights[i]! *= factor;
  }
  return tensorOf(weights, [rows, outputs], 'bfloat16');
}

describe('the form of an int8 matrix', () => {
  it('is one scale a column for even weights, found in one reading', async () => {
    const source = counted(withOutliers(() => false, 1));
    const { form, error, tried } = await chooseInt8Form(source.tensor);
    assert.deepEqual(form, { kind: 'columns', groups: 1 });
    assert.deepEqual(tried, [{ form, error }]);
    assert.ok(error > 0.005 && error < 0.009, `${error}`);
    assert.equal(source.reads(), 1);
  });

  it('is groups of columns where they keep large inputs from small ones', async () => {
    // Sixteen large rows, all in the last quarter.
    const half = await chooseInt8Form(withOutliers((input) => input >= 384 && input < 400, 10));
    assert.equal(half.form.kind, 'columns');
    assert.ok(half.tried.length > 1);
    assert.ok(half.error < half.tried[0]!.error);
    assert.deepEqual(half.tried.map(({ form }) => form).at(-1), half.form);
  });

  it('is blocks where outliers are everywhere, whatever the error then is', async () => {
    const { form, error, tried } = await chooseInt8Form(withOutliers((input) => input % 64 === 0, 100));
    assert.deepEqual(form, { kind: 'blocks', blockSize: 128 });
    assert.equal(tried.length, 4);
    assert.equal(error, tried[3]!.error);
  });

  it('has only groups that divide K', async () => {
    const { tried } = await chooseInt8Form(withOutliers((input) => input % 64 === 0, 100, 514));
    assert.deepEqual(
      tried.map(({ form }) => (form.kind === 'columns' ? form.groups : form.blockSize)),
      [1, 2, 128],
    );
  });

  it('does not depend on how the matrix lies', async () => {
    const kernel = tensorOf(gaussian(inputs * outputs), [outputs, inputs]);
    const stored = { ...swapAxes(kernel) };
    const { transposed: _, ...columns } = stored;
    const [a, b] = [await chooseInt8Form(stored), await chooseInt8Form(columns)];
    assert.ok(Math.abs(a.error - b.error) < 1e-12);
    assert.deepEqual(a.form, b.form);
  });
});
