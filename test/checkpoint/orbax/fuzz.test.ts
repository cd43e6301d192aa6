/** Flips bytes all over small checkpoints: what comes is the right number of bytes or an InputError, and it comes soon. */

import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { crc32c } from '../../../src/checkpoint/orbax/crc32c.js';
import { openOrbax } from '../../../src/checkpoint/orbax/orbax.js';
import { InputError } from '../../../src/errors.js';
import { tensorBytes } from '../../../src/graph/dtype.js';
import { fixture, seededRandom } from '../digests.js';

/** Of each fixture, how many damaged copies are read. */
const ROUNDS = 60;

const FIXTURES = [
  'orbax/flax-msgpack',
  'orbax/ocdbt-deep',
  'orbax/ocdbt-numbered',
  'orbax/ocdbt-processes',
  'orbax/orbax-state',
  'orbax/placeholders',
  'orbax/zarr2',
  'orbax/zarr3',
];

/** Largest tensor that is read to its end: a damaged header may claim gigabytes of fill values, which are lawful but slow. */
const MAX_READ_BYTES = 1024 * 1024;

async function readAll(path: string): Promise<void> {
  const checkpoint = await openOrbax(path);
  for (const [name, tensor] of checkpoint.tensors) {
    const expected = tensorBytes(tensor.dtype, tensor.shape);
    let bytes = 0;
    for await (const piece of tensor.read()) {
      bytes += piece.length;
      if (bytes > MAX_READ_BYTES) break;
    }
    if (bytes <= MAX_READ_BYTES) assert.equal(bytes, expected, name);
  }
}

/** Mends the checksums of all OCDBT structures in a file, so that damage gets past them. */
function reseal(file: Buffer): void {
  for (const magic of ['0cdb3a2a', '0cdb20de']) {
    for (let at = file.indexOf(magic, 0, 'hex'); at >= 0; at = file.indexOf(magic, at + 4, 'hex')) {
      if (at + 12 > file.length) return;
      const end = at + Number(file.readBigUInt64LE(at + 4)) - 4;
      if (end > at + 12 && end + 4 <= file.length) file.writeUInt32LE(crc32c(file.subarray(at, end)), end);
    }
  }
}

describe('damaged bytes', () => {
  for (const name of FIXTURES) {
    it(`never crash or hang the reader of ${name}`, async () => {
      const root = await mkdtemp(join(tmpdir(), 'recgemma-fuzz-'));
      try {
        const folder = join(root, basename(name));
        await cp(fixture(name), folder, { recursive: true });
        const { files } = await openOrbax(folder);
        const random = seededRandom(20240411);
        const below = (limit: number) => Math.floor(random() * limit);
        let refused = 0;
        for (let round = 0; round < ROUNDS; round++) {
          const file = files[below(files.length)]!;
          const good = await readFile(file);
          if (good.length === 0) continue;
          const bad = Buffer.from(good);
          const flips = Array.from({ length: 1 + below(3) }, () => [below(bad.length), below(256)] as const);
          for (const [at, byte] of flips) bad[at] = byte;
          if (round % 4 !== 0) reseal(bad);
          await writeFile(file, round % 10 === 9 ? bad.subarray(0, below(bad.length)) : bad);
          try {
            await readAll(folder);
          } catch (error) {
            const place = `${basename(file)}, round ${round}: ${flips.join(' ')}`;
            if (!(error instanceof InputError)) throw new Error(place, { cause: error });
            refused++;
          }
          await writeFile(file, good);
        }
        assert.ok(refused > 0, 'nothing was refused');
        await readAll(folder);
      } finally {
        await rm(root, { recursive: true, force: true });
      }
    });
  }
});
