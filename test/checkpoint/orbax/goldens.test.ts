/** Every Orbax golden reads as TensorStore itself read it (scripts/goldens/hash_flax.py), whatever its layout. */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { describe, it } from 'node:test';
import { looksLikeOrbax, openOrbax } from '../../../src/checkpoint/orbax/orbax.js';
import { fixture } from '../digests.js';
import { assertTensors, type Expected } from './expected.js';

const groups: { checkpoints: string[]; arrays: Expected }[] = JSON.parse(
  readFileSync(fixture('goldens/flax-tensors.json'), 'utf8'),
);
const shared = process.env.RECGEMMA_SHARED;

/** Where a golden lies: in the repository, or in the larger set outside it. */
function locate(checkpoint: string): string | undefined {
  const inside = fixture(`goldens/checkpoints/${checkpoint}`);
  if (existsSync(inside)) return inside;
  return shared === undefined ? undefined : join(shared, 'goldens', 'checkpoints', checkpoint);
}

describe('Orbax goldens', () => {
  for (const { checkpoints, arrays } of groups) {
    for (const checkpoint of checkpoints) {
      const path = locate(checkpoint);
      const skip = path === undefined && 'RECGEMMA_SHARED is not set';
      it(`reads ${checkpoint}`, { skip }, async () => {
        assert.equal(await looksLikeOrbax(path!), true);
        const opened = await openOrbax(path!);
        assert.equal(opened.format, 'orbax');
        await assertTensors(opened, arrays);
        assert.ok(
          opened.files.length > 0 && opened.files.every((file) => isAbsolute(file) && existsSync(file)),
        );
        await opened.close();
      });
    }
  }

  it('lists the files that an OCDBT checkpoint lies in, and no others', async () => {
    const { files } = await openOrbax(fixture('goldens/checkpoints/rg-tiny/flax-release-bf16'));
    const names = files.map((file) => file.slice(file.indexOf('flax-release-bf16/') + 18));
    assert.deepEqual(
      names.map((name) => name.replace(/[0-9a-f]{32}/, '*')),
      ['_METADATA', 'checkpoint', 'd/*', 'manifest.ocdbt', 'ocdbt.process_0/d/*'],
    );
  });
});
