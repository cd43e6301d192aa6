/** Writes OCDBT structures byte by byte, sound envelopes around whatever content a test wants, so that the content is what is refused. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '../../../src/checkpoint/orbax/crc32c.js';

/** 2^64-1, by which OCDBT says "missing". */
export const MISSING = 0xffff_ffff_ffff_ffffn;

type Size = number | bigint;
type Bytes = readonly number[];

/** A reference into a data file. */
export interface Reference {
  readonly file: number;
  readonly offset: Size;
  readonly length: Size;
}

/** An unsigned LEB128 number. */
export function varint(value: Size): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

const column = (values: readonly Size[]) => values.flatMap(varint);
const utf8 = (text: string) => [...Buffer.from(text)];

/** Puts the envelope around a body: magic, length, version 0, compression method, body, CRC-32C. */
export function seal(magic: number, body: Bytes, compression = 0): Uint8Array {
  const length = 4 + 8 + 2 + body.length + 4;
  const sealed = Buffer.alloc(length);
  sealed.writeUInt32BE(magic, 0);
  sealed.writeBigUInt64LE(BigInt(length), 4);
  sealed.set([0, compression, ...body], 12);
  sealed.writeUInt32LE(crc32c(sealed.subarray(0, length - 4)), length - 4);
  return sealed;
}

/** A table of data files, none of which shares a prefix or has a base. */
export function fileTable(paths: readonly string[]): number[] {
  if (paths.length === 0) return [0];
  return [
    ...varint(paths.length),
    ...column(paths.slice(1).map(() => 0)),
    ...column(paths.map((path) => Buffer.byteLength(path))),
    ...column(paths.map(() => 0)),
    ...paths.flatMap(utf8),
  ];
}

const references = (refs: readonly Reference[]) => [
  ...column(refs.map((ref) => ref.file)),
  ...column(refs.map((ref) => ref.offset)),
  ...column(refs.map((ref) => ref.length)),
];

/** A manifest with one version, whose tree has the given root and height. */
export function manifest(paths: readonly string[], root: Reference, height: number): Uint8Array {
  const config = [...new Array<number>(16).fill(7), 0, ...varint(1024), ...varint(100_000_000), 4, 0];
  const version = [
    ...varint(1),
    ...varint(1),
    height,
    ...references([root]),
    1,
    1,
    1,
    ...new Array<number>(8).fill(0),
  ];
  return seal(0x0cdb3a2a, [...config, ...fileTable(paths), ...version, 0]);
}

/** A leaf with values inline (bytes) or elsewhere (a reference). Keys are written without shared prefixes. */
export function leaf(
  paths: readonly string[],
  entries: readonly (readonly [string, Bytes | Reference])[],
): Uint8Array {
  const outside = entries.flatMap(([, value]) => ('offset' in value ? [value] : []));
  return seal(0x0cdb20de, [
    0,
    ...fileTable(paths),
    ...varint(entries.length),
    ...column(entries.slice(1).map(() => 0)),
    ...column(entries.map(([key]) => Buffer.byteLength(key))),
    ...entries.flatMap(([key]) => utf8(key)),
    ...column(entries.map(([, value]) => value.length)),
    ...entries.map(([, value]) => ('offset' in value ? 1 : 0)),
    ...column(outside.map((value) => value.file)),
    ...column(outside.map((value) => value.offset)),
    ...entries.flatMap(([, value]) => ('offset' in value ? [] : value)),
  ]);
}

/** An interior node of one child. */
export function interior(paths: readonly string[], height: number, child: Reference): Uint8Array {
  return seal(0x0cdb20de, [
    height,
    ...fileTable(paths),
    1,
    1,
    0,
    ...utf8('k'),
    ...references([child]),
    1,
    1,
    1,
  ]);
}

/** Writes a database whose root lies at the start of the data file `d/data`. */
export async function writeDatabase(folder: string, node: Uint8Array, height = 0): Promise<void> {
  await mkdir(join(folder, 'd'), { recursive: true });
  await writeFile(join(folder, 'd', 'data'), node);
  const root = { file: 0, offset: 0, length: node.length };
  await writeFile(join(folder, 'manifest.ocdbt'), manifest(['d/data'], root, height));
}
