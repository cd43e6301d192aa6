/** CRC-32C against the published check values. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { crc32c } from '../../../src/checkpoint/orbax/crc32c.js';

it('gives the published CRC-32C values', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  // RFC 3720, appendix B.4.
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Buffer.from('6789'), crc32c(Buffer.from('12345'))), 0xe3069283);
});
