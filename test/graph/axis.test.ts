/** The algebra of axes. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  addToAxis,
  broadcastAxes,
  formatAxes,
  GraphError,
  multiplyAxes,
  sameElementCount,
  sumAxes,
} from '../../src/graph/axis.js';

describe('axes', () => {
  it('grow and shrink, by name and by number', () => {
    assert.equal(addToAxis(4, 3), 7);
    assert.equal(addToAxis('time', 3), 'time+3');
    assert.equal(addToAxis('time', -2), 'time-2');
    assert.equal(addToAxis('time+3', -3), 'time');
    assert.equal(addToAxis('time+3', -1), 'time+2');
    assert.equal(addToAxis('time-2', 5), 'time+3');
    assert.equal(addToAxis('time', 0), 'time');
  });

  it('are summed', () => {
    assert.equal(sumAxes(3, 4), 7);
    assert.equal(sumAxes('time', 3), 'time+3');
    assert.equal(sumAxes(3, 'time'), 'time+3');
    assert.equal(sumAxes('cached', 'time'), 'cached+time');
  });

  it('are multiplied into one spelling, whatever the order', () => {
    assert.equal(multiplyAxes([2, 3, 4]), 24);
    assert.equal(multiplyAxes([]), 1);
    assert.equal(multiplyAxes(['batch', 'time', 5]), '5*batch*time');
    assert.equal(multiplyAxes(['5*time', 'batch']), '5*batch*time');
    assert.equal(multiplyAxes(['time', 'batch']), multiplyAxes(['batch', 'time']));
    assert.equal(multiplyAxes(['2*time', '3*batch', 4]), '24*batch*time');
  });

  it('hold the same number of elements, or not', () => {
    assert.ok(sameElementCount(['batch', 'time', 40], ['batch*time', 5, 8]));
    assert.ok(sameElementCount([2, 6], [3, 4]));
    assert.ok(!sameElementCount(['batch', 'time', 40], ['batch*time', 5, 9]));
    assert.ok(!sameElementCount(['batch', 40], ['time', 40]));
    assert.ok(!sameElementCount(['batch', 'batch'], ['batch']));
  });

  it('are broadcast as in NumPy', () => {
    assert.deepEqual(broadcastAxes(['batch', 'time', 40], [40]), ['batch', 'time', 40]);
    assert.deepEqual(broadcastAxes([8, 1, 6, 1], [7, 1, 5]), [8, 7, 6, 5]);
    assert.deepEqual(broadcastAxes([], ['batch', 3]), ['batch', 3]);
    assert.deepEqual(broadcastAxes(['batch', 1], [1, 'time']), ['batch', 'time']);
    assert.equal(broadcastAxes([2, 3], [2]), undefined);
    assert.equal(broadcastAxes(['batch', 3], ['time', 3]), undefined);
    assert.equal(broadcastAxes(['time'], [3]), undefined);
  });

  it('are printed as people write them', () => {
    assert.equal(formatAxes(['batch', 'time', 40]), '[batch, time, 40]');
    assert.equal(formatAxes([]), '[]');
  });

  it('make errors that name the place', () => {
    assert.equal(new GraphError('blocks.0.mlp', 'it broke').message, 'blocks.0.mlp: it broke');
    assert.equal(new GraphError('', 'it broke').message, 'graph: it broke');
  });
});
