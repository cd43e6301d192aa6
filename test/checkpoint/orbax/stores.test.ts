/** Layouts that the golden checkpoints lack, written by TensorStore, flax and Orbax (scripts/fixtures/orbax_extra.py). */

import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { openOrbax } from '../../../src/checkpoint/orbax/orbax.js';
import { fixture } from '../digests.js';
import { assertTensors, type Expected } from './expected.js';

const expected: Record<string, Expected> = JSON.parse(readFileSync(fixture('orbax/expected.json'), 'utf8'));

describe('Orbax stores', () => {
  for (const [folder, arrays] of Object.entries(expected)) {
    it(`reads ${folder}`, async () => {
      await assertTensors(await openOrbax(fixture(`orbax/${folder}`)), arrays);
    });
  }
});
