/**
 * Array headers of zarr v2 (`.zarray`) and v3 (`zarr.json`), as far as TensorStore and Orbax use them.
 * Sources: the zarr v2 and v3 specifications, and the v3 codecs `sharding_indexed` 1.0, `bytes`, `gzip`, `zstd`, `crc32c`.
 */

import { type DType, elementCount, itemBytes, type Shape } from '../../graph/dtype.js';
import { type ByteCodec, MAX_CODECS } from './codecs.js';
import { Damage } from './damage.js';
import { parseFillValue } from './fill-value.js';
import { parseDType } from './zarr-dtype.js';

/** What the header of an array says. */
export interface ZarrHeader {
  readonly dtype: DType;
  readonly shape: Shape;
  /** Axes of the smallest pieces that are stored: those inside the shards where there are shards. */
  readonly chunkShape: Shape;
  /** What one such piece went through, in that order. */
  readonly codecs: readonly ByteCodec[];
  /** One element; undefined where every chunk must be there. */
  readonly fill: Uint8Array | undefined;
  readonly shards: Sharding | undefined;
  /** Key of a chunk (of a shard where there are shards), below the array's own name. */
  readonly chunkKey: (index: readonly number[]) => string;
}

/** zarr v3 sharding: many chunks in one value, with an index of where each lies. */
export interface Sharding {
  readonly shardShape: Shape;
  readonly indexCodecs: readonly ByteCodec[];
  readonly indexAt: 'start' | 'end';
}

/** Largest array, in bytes: ten times the largest of a 9B model in float32. Keeps absurd sizes from running for ever. */
const MAX_ARRAY_BYTES = 64 * 1024 ** 3;

/** Most chunks in an array, and in a shard. With chunks of 8 MiB, the largest array has 8192. */
const MAX_CHUNKS = 2 ** 20;

/** Most axes: numpy's own limit of old. */
const MAX_RANK = 32;

const BYTE_CODECS: ReadonlySet<unknown> = new Set<ByteCodec>(['zstd', 'gzip', 'zlib', 'crc32c']);

type Json = Readonly<Record<string, unknown>>;

/**
 * Parses a header; 'ignored' where it describes a group or an array that cannot be a weight.
 * Throws {@link Damage} for what is malformed or not supported.
 */
export function parseHeader(text: string, version: 2 | 3): ZarrHeader | 'ignored' {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Damage('its header is not JSON');
  }
  const header = object(json, 'header');
  if (header.zarr_format !== version) {
    throw new Damage(`its header says zarr format ${JSON.stringify(header.zarr_format)}, not ${version}`);
  }
  return version === 2 ? parseV2(header) : parseV3(header);
}

function parseV2(header: Json): ZarrHeader | 'ignored' {
  const dtype = readDType(header.dtype);
  if (dtype === 'ignored') return dtype;
  if (header.order !== 'C')
    throw new Damage(`its elements are in order ${JSON.stringify(header.order)}, not C`);
  if (Array.isArray(header.filters) ? header.filters.length > 0 : header.filters != null) {
    throw new Damage('it uses zarr filters, which are not supported');
  }
  const separator = readSeparator(header.dimension_separator ?? '.');
  const codecs: ByteCodec[] =
    header.compressor === null ? [] : [readByteCodec(object(header.compressor, 'compressor').id)];
  return {
    dtype,
    ...readGrid(dtype, header.shape, header.chunks),
    codecs,
    fill: parseFillValue(header.fill_value, dtype),
    shards: undefined,
    chunkKey: (index) => index.join(separator) || '0',
  };
}

function parseV3(header: Json): ZarrHeader | 'ignored' {
  if (header.node_type === 'group') return 'ignored';
  const dtype = readDType(header.data_type);
  if (dtype === 'ignored') return dtype;
  if (Array.isArray(header.storage_transformers) && header.storage_transformers.length > 0) {
    throw new Damage('it uses zarr storage transformers, which are not supported');
  }
  const grid = named(header.chunk_grid, 'chunk grid');
  if (grid.name !== 'regular')
    throw new Damage(`its chunk grid ${JSON.stringify(grid.name)} is not supported`);
  const outer = readGrid(dtype, header.shape, grid.configuration.chunk_shape);
  const common = {
    dtype,
    shape: outer.shape,
    fill: parseFillValue(header.fill_value, dtype),
    chunkKey: readKeyEncoding(header.chunk_key_encoding),
  };
  const chain = list(header.codecs, 'codecs');
  const first = named(chain[0], 'codec');
  if (first.name !== 'sharding_indexed') {
    return { ...common, chunkShape: outer.chunkShape, codecs: readCodecs(chain, dtype), shards: undefined };
  }
  if (chain.length > 1) throw new Damage('its shards are encoded once more, which is not supported');
  const { chunk_shape, codecs, index_codecs, index_location } = first.configuration;
  const inner = readGrid(dtype, outer.shape, chunk_shape);
  if (outer.chunkShape.some((size, axis) => size % inner.chunkShape[axis]! !== 0)) {
    throw new Damage(
      `its shards ${show(outer.chunkShape)} are no multiples of its chunks ${show(inner.chunkShape)}`,
    );
  }
  if (elementCount(outer.chunkShape) / elementCount(inner.chunkShape) > MAX_CHUNKS) {
    throw new Damage(`its shards ${show(outer.chunkShape)} hold more than ${MAX_CHUNKS} chunks`);
  }
  const indexAt = index_location ?? 'end';
  if (indexAt !== 'start' && indexAt !== 'end') throw new Damage('its shard index lies at an unknown place');
  return {
    ...common,
    chunkShape: inner.chunkShape,
    codecs: readCodecs(list(codecs, 'codecs'), dtype),
    shards: {
      shardShape: outer.chunkShape,
      indexCodecs: readCodecs(list(index_codecs, 'index codecs'), 'int64'),
      indexAt,
    },
  };
}

function readDType(spelling: unknown): DType | 'ignored' {
  const dtype = parseDType(spelling);
  if (dtype === undefined) throw new Damage(`its element type ${JSON.stringify(spelling)} is not supported`);
  return dtype;
}

/** Shape and chunk shape, checked against each other and against absurd sizes. */
function readGrid(dtype: DType, shape: unknown, chunks: unknown): { shape: Shape; chunkShape: Shape } {
  const grid = { shape: readShape(shape, 'shape', 0), chunkShape: readShape(chunks, 'chunk shape', 1) };
  if (grid.shape.length !== grid.chunkShape.length) {
    throw new Damage(`its shape ${show(grid.shape)} and its chunks ${show(grid.chunkShape)} differ in rank`);
  }
  for (const sizes of [grid.shape, grid.chunkShape]) {
    if (elementCount(sizes) * itemBytes(dtype) > MAX_ARRAY_BYTES) {
      throw new Damage(`its size ${show(sizes)} is absurdly large`);
    }
  }
  const chunkCount = elementCount(grid.shape.map((size, axis) => Math.ceil(size / grid.chunkShape[axis]!)));
  if (chunkCount > MAX_CHUNKS)
    throw new Damage(`it has ${chunkCount} chunks, more than the ${MAX_CHUNKS} allowed`);
  return grid;
}

function readShape(value: unknown, what: string, minimum: number): Shape {
  const sizes = list(value, what);
  const valid = sizes.every((size) => Number.isSafeInteger(size) && Number(size) >= minimum);
  if (!valid || sizes.length > MAX_RANK)
    throw new Damage(`its ${what} ${show(sizes)} is not a list of sizes`);
  return sizes.map(Number);
}

/** A chain that makes little-endian bytes of the elements, and other bytes of those. */
function readCodecs(chain: readonly unknown[], dtype: DType): readonly ByteCodec[] {
  if (chain.length > MAX_CODECS) throw new Damage(`it passed through ${chain.length} codecs`);
  const [first, ...rest] = chain.map((codec) => named(codec, 'codec'));
  if (first?.name !== 'bytes') throw new Damage(`its codec ${JSON.stringify(first?.name)} is not supported`);
  if (first.configuration.endian !== 'little' && itemBytes(dtype) > 1) {
    throw new Damage('its elements are not little-endian');
  }
  return rest.map(({ name }) => readByteCodec(name));
}

function readByteCodec(name: unknown): ByteCodec {
  if (BYTE_CODECS.has(name)) return name as ByteCodec;
  throw new Damage(`its codec ${JSON.stringify(name)} is not supported`);
}

function readKeyEncoding(value: unknown): (index: readonly number[]) => string {
  const { name, configuration } = named(value, 'chunk key encoding');
  if (name === 'default') {
    const separator = readSeparator(configuration.separator ?? '/');
    return (index) => ['c', ...index].join(separator);
  }
  if (name !== 'v2') throw new Damage(`its chunk key encoding ${JSON.stringify(name)} is not supported`);
  const separator = readSeparator(configuration.separator ?? '.');
  return (index) => index.join(separator) || '0';
}

function readSeparator(value: unknown): string {
  if (value !== '.' && value !== '/')
    throw new Damage(`its separator ${JSON.stringify(value)} is not supported`);
  return value;
}

/** zarr v3's form of every extension point: a name with a configuration, or the name alone. */
function named(value: unknown, what: string): { name: unknown; configuration: Json } {
  if (typeof value === 'string') return { name: value, configuration: {} };
  const { name, configuration } = object(value, what);
  return { name, configuration: configuration === undefined ? {} : object(configuration, what) };
}

function object(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Damage(`its ${what} is not a JSON object`);
  }
  return value as Json;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Damage(`its ${what} is not a list`);
  return value;
}

function show(sizes: readonly unknown[]): string {
  const text = JSON.stringify(sizes);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
