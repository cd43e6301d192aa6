/**
 * The form of PyTorch files before 1.6: five pickles one after another (magic number, version, machine, object, storage keys), then
 * for each key the number of its elements and their bytes (torch/serialization.py, `_legacy_save`).
 */

import { InputError } from '../../errors.js';
import { type RangeFile, readRange } from '../file-range.js';
import { quoted } from '../quoted.js';
import { torchContext } from './globals.js';
import { StorageRecord } from './tensor-record.js';
import { type PickleContext, unpickle } from './unpickler.js';
import { MAX_PICKLE_BYTES, missingStorage, type TorchContent } from './zip-archive.js';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const FORMAT_VERSION = 1001;

/** The number of elements that precedes each storage, a little-endian 64-bit integer. */
const COUNT_BYTES = 8;

/** Whether the first bytes of a file are the pickle of the magic number, in any protocol. */
export function startsLikeLegacyFile(start: Uint8Array): boolean {
  try {
    return unpickle(start, 0, plainContext('')).value === MAGIC;
  } catch {
    return false;
  }
}

/** Reads the five pickles and finds the storages behind them. */
export async function readLegacyFile(file: RangeFile): Promise<TorchContent> {
  const head = await readRange(file, 0, Math.min(file.size, MAX_PICKLE_BYTES), 'its pickles');
  let position = 0;
  const next = (context: PickleContext) => {
    const { value, end } = unpickle(head, position, context);
    position = end;
    return value;
  };
  const plain = plainContext(file.path);
  if (next(plain) !== MAGIC || next(plain) !== FORMAT_VERSION) {
    throw new InputError(`${file.path} is a pickle, but torch.save did not write it.`, {
      details: { file: file.path },
    });
  }
  const machine = next(plain);
  if (!(machine instanceof Map) || machine.get('little_endian') !== true) {
    throw new InputError(`${file.path} was saved on a big-endian machine, which cannot be read.`);
  }

  const storages = new Map<string, StorageRecord>();
  const context = torchContext(file.path);
  const root = next({
    ...context,
    loadPersistent: (id) => {
      const storage = context.loadPersistent(id);
      if (storage instanceof StorageRecord) storages.set(storage.key, storage);
      return storage;
    },
  });
  const starts = await findStorages(file, next(plain), position, storages);

  const storageStart = async (storage: StorageRecord, tensor: string) => {
    const found = starts.get(storage.key);
    if (found?.bytes !== storage.bytes) throw missingStorage(file, storage, tensor, found?.bytes ?? 0);
    return found.start;
  };
  return { root, storageStart };
}

interface StoragePlace {
  readonly start: number;
  readonly bytes: number;
}

async function findStorages(
  file: RangeFile,
  keys: unknown,
  dataStart: number,
  storages: ReadonlyMap<string, StorageRecord>,
): Promise<Map<string, StoragePlace>> {
  if (!Array.isArray(keys)) throw new InputError(`${file.path} has no list of its storages.`);
  const places = new Map<string, StoragePlace>();
  let position = dataStart;
  for (const key of keys) {
    const storage = storages.get(key);
    const what = `the storage ${quoted(key)}`;
    if (storage === undefined || places.has(key)) {
      throw new InputError(`${file.path} lists ${what}, which no tensor lies in or which it lists twice.`);
    }
    const count = (await readRange(file, position, COUNT_BYTES, what)).readBigUInt64LE();
    const start = position + COUNT_BYTES;
    if (count !== BigInt(storage.count) || start + storage.bytes > file.size) {
      throw new InputError(`${file.path} does not hold all ${storage.bytes} bytes of ${what}.`, {
        hint: 'If it was downloaded, get it again.',
        details: { file: file.path, storage: key },
      });
    }
    places.set(key, { start, bytes: storage.bytes });
    position = start + storage.bytes;
  }
  return places;
}

/** For the pickles that hold plain values only. */
function plainContext(where: string): PickleContext {
  return {
    where,
    findGlobal: () => undefined,
    loadPersistent: () => {
      throw new InputError(`${where} refers to a storage before its state dict begins.`);
    },
  };
}
