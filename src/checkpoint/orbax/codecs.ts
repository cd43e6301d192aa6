/** The byte codecs of zarr chunks, as streams: zstd, gzip, zlib and crc32c. */

import { Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { crc32c } from './crc32c.js';
import { Damage } from './damage.js';
import { decompressZstd } from './zstd.js';

/** A codec that turns bytes into bytes. */
export type ByteCodec = 'zstd' | 'gzip' | 'zlib' | 'crc32c';

/** Codecs that a chunk may pass through; a chain in real files has one or two. */
export const MAX_CODECS = 8;

const DECODERS: Readonly<
  Record<ByteCodec, (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>>
> = {
  zstd: decompressZstd,
  gzip: (source) => inflate(source, 'gzip'),
  zlib: (source) => inflate(source, 'zlib'),
  crc32c: verifyChecksum,
};

/** Undoes `codecs`, given in the order in which they were applied. Bad bytes throw {@link Damage} as they are met. */
export function decodeBytes(
  codecs: readonly ByteCodec[],
  source: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  return codecs.reduceRight((bytes, codec) => DECODERS[codec](bytes), source);
}

/** Decodes a value that must have no more than `limit` bytes. */
export async function decodeWhole(
  codecs: readonly ByteCodec[],
  source: AsyncIterable<Uint8Array>,
  limit: number,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of decodeBytes(codecs, source)) {
    length += piece.length;
    if (length > limit) throw new Damage(`it decompresses to more than ${limit} bytes`);
    pieces.push(piece);
  }
  return pieces.length === 1 ? pieces[0]! : new Uint8Array(Buffer.concat(pieces));
}

async function* inflate(
  source: AsyncIterable<Uint8Array>,
  format: 'gzip' | 'zlib',
): AsyncGenerator<Uint8Array> {
  const input = Readable.from(source, { objectMode: true, highWaterMark: 1 });
  const inflater = format === 'gzip' ? createGunzip() : createInflate();
  input.on('error', (error) => inflater.destroy(error));
  try {
    for await (const piece of input.pipe(inflater)) yield piece as Uint8Array;
  } catch (error) {
    throw zlibDamage(error, format);
  } finally {
    input.destroy();
    inflater.destroy();
  }
}

function zlibDamage(error: unknown, format: string): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'Z_BUF_ERROR') return new Damage(`its ${format} data end too early`, { truncated: true });
  return code.startsWith('Z_') ? new Damage(`its ${format} data are corrupt`) : error;
}

/** Checks and removes the four bytes (little-endian) that zarr's crc32c codec puts at the end. */
async function* verifyChecksum(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let checksum = 0;
  let held = new Uint8Array(0);
  for await (const piece of source) {
    const bytes = new Uint8Array(held.length + piece.length);
    bytes.set(held);
    bytes.set(piece, held.length);
    const payload = bytes.subarray(0, Math.max(0, bytes.length - 4));
    held = bytes.slice(payload.length);
    checksum = crc32c(payload, checksum);
    if (payload.length > 0) yield payload;
  }
  if (held.length < 4) throw new Damage('it is too short for its checksum', { truncated: true });
  if (new DataView(held.buffer).getUint32(0, true) !== checksum) throw new Damage('its checksum is wrong');
}
