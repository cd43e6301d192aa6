/** One error tells of everything that is wrong with a checkpoint's tensors. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InputError } from '../../src/errors.js';
import type { DType } from '../../src/graph/dtype.js';
import { memoryTensor } from '../../src/graph/transform.js';
import { WeightStore } from '../../src/graph/weight-store.js';

function storeOf(
  tensors: readonly (readonly [string, DType, readonly number[]])[],
  sourceName?: (path: string) => string,
) {
  return new WeightStore(
    new Map(tensors.map(([name, dtype, shape]) => [name, memoryTensor(dtype, shape, new Uint8Array())])),
    sourceName,
  );
}

describe('a weight store', () => {
  it('is content where every tensor was asked for and fits', () => {
    const store = storeOf([
      ['a', 'bfloat16', [2, 3]],
      ['b', 'float64', []],
    ]);
    assert.equal(store.take('a', [2, 3]).dtype, 'bfloat16');
    store.take('b', []);
    store.check('it');
  });

  it('lists what is missing, unfit and left over in one error, in the names of the source', () => {
    const store = storeOf(
      [
        ['short', 'float32', [2]],
        ['flat', 'float32', [6]],
        ['whole', 'int8', [2, 3]],
        ['spare', 'float32', [1]],
      ],
      (path) => `model.${path}`,
    );
    const standIn = store.take('gone', [7, 8]);
    assert.deepEqual([standIn.dtype, standIn.shape], ['float32', [7, 8]]);
    store.take('short', [3]);
    store.take('flat', [2, 3]);
    store.take('whole', [2, 3]);
    assert.throws(
      () => store.check('the file'),
      (error) => {
        assert.ok(error instanceof InputError);
        assert.equal(
          error.message,
          [
            'the file does not hold the model that its config describes:',
            '  missing: "model.gone"',
            '  unfit: "model.short" has shape [2]; the config needs [3]',
            '  unfit: "model.flat" has shape [6]; the config needs [2, 3]',
            '  unfit: "model.whole" holds int8; a weight must be one of float64, float32, float16, bfloat16',
            '  not part of this model: "spare"',
          ].join('\n'),
        );
        const { missing, unfit, extra } = error.details as Record<string, string[]>;
        assert.deepEqual([missing!.length, unfit!.length, extra], [1, 3, ['"spare"']]);
        return true;
      },
    );
  });

  it('prints twenty of a kind and counts the rest', () => {
    const store = storeOf([]);
    for (let i = 0; i < 25; i++) store.take(`w${i}`, [1]);
    assert.throws(
      () => store.check('it'),
      (error) => {
        assert.ok(error instanceof InputError);
        assert.equal(error.message.split('\n').length, 1 + 20 + 1);
        assert.match(error.message, /… and 5 more missing$/);
        assert.equal((error.details as Record<string, string[]>).missing!.length, 25);
        return true;
      },
    );
  });
});
