import assert from 'node:assert/strict';
import { it } from 'node:test';
import { closest } from '../../src/cli/suggest.js';

const NAMES = ['convert', 'inspect', 'verify', 'sample', 'score', 'devices'];

for (const [typed, meant] of [
  ['convrt', 'convert'],
  ['covnert', 'convert'],
  ['smaple', 'sample'],
  ['device', 'devices'],
  ['dev', 'devices'],
  ['Inspect', 'inspect'],
  ['scores', 'score'],
  ['serve', undefined],
  ['x', undefined],
  ['', undefined],
  ['generate', undefined],
] as const) {
  it(`"${typed}" ${meant === undefined ? 'is near nothing' : `means ${meant}`}`, () => {
    assert.equal(closest(typed, NAMES), meant);
  });
}
