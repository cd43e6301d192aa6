/** The zip form of a PyTorch file, written since 1.6: one pickle, and one stored entry for each storage. */

import type { Entry, ZipFile } from 'yauzl';
import { InputError } from '../../errors.js';
import { type RangeFile, readRange } from '../file-range.js';
import { quoted } from '../quoted.js';
import { torchContext } from './globals.js';
import type { StorageRecord } from './tensor-record.js';
import { unpickle } from './unpickler.js';

/** What a file holds, and where its storages begin. */
export interface TorchContent {
  /** The unpickled object, tensors as TensorRecords. */
  readonly root: unknown;
  /** The byte of the file where the storage of a tensor begins; throws InputError unless all of it is in the file. */
  storageStart(storage: StorageRecord, tensor: string): Promise<number>;
}

/** Longest pickle that is read: one of 100 000 tensors. The weights lie outside of it. */
export const MAX_PICKLE_BYTES = 32 * 2 ** 20;

/** Most entries of an archive; each costs a few hundred bytes of memory. */
const MAX_ENTRIES = 100_000;

const STORED = 0;
const ENCRYPTED_FLAG = 1;

/** Reads the directory and the pickle of an archive. */
export async function readZipArchive(file: RangeFile): Promise<TorchContent> {
  const zip = await openZip(file);
  const entries = await readDirectory(file, zip);
  const root = findRoot(file, [...entries.keys()]);
  await checkByteOrder(file, zip, entries.get(`${root}/byteorder`));

  const pickle = entries.get(`${root}/data.pkl`)!;
  if (pickle.uncompressedSize > MAX_PICKLE_BYTES) {
    throw new InputError(`${file.path} has a pickle of ${pickle.uncompressedSize} bytes, more than is read.`);
  }
  const bytes = await readRange(
    file,
    await entryStart(file, zip, pickle),
    pickle.uncompressedSize,
    'its data.pkl',
  );
  const { value } = unpickle(bytes, 0, torchContext(file.path));

  const starts = new Map<Entry, number>();
  const storageStart = async (storage: StorageRecord, tensor: string) => {
    const entry = entries.get(`${root}/data/${storage.key}`);
    if (entry === undefined || entry.uncompressedSize < storage.bytes) {
      throw missingStorage(file, storage, tensor, entry?.uncompressedSize ?? 0);
    }
    const start = starts.get(entry) ?? (await entryStart(file, zip, entry));
    starts.set(entry, start);
    return start;
  };
  return { root: value, storageStart };
}

/** Opens the archive over our own reads: yauzl's, given an absurd offset, would end the process with an uncaught RangeError. */
async function openZip(file: RangeFile): Promise<ZipFile> {
  const { fromRandomAccessReaderPromise, RandomAccessReader } = await import('yauzl');
  class CheckedReader extends RandomAccessReader {
    override read(
      buffer: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null) => void,
    ): void {
      readRange(file, position, length, 'its zip directory').then((bytes) => {
        bytes.copy(buffer, offset);
        callback(null);
      }, callback);
    }
  }
  const options = { autoClose: false, lazyEntries: true, strictFileNames: true };
  return fromRandomAccessReaderPromise(new CheckedReader(), file.size, options).catch((cause: unknown) => {
    throw damaged(file, cause);
  });
}

async function readDirectory(file: RangeFile, zip: ZipFile): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  try {
    for await (const entry of zip.eachEntry()) {
      if (entries.has(entry.fileName)) {
        throw new InputError(`${file.path} has two entries of the name ${quoted(entry.fileName)}.`);
      }
      if (entries.size === MAX_ENTRIES)
        throw new InputError(`${file.path} has more than ${MAX_ENTRIES} entries.`);
      entries.set(entry.fileName, entry);
    }
  } catch (error) {
    throw damaged(file, error);
  }
  return entries;
}

/** The one folder that everything in the archive lies in; PyTorch names it after the file. */
function findRoot(file: RangeFile, names: readonly string[]): string {
  const root = names
    .map((name) => /^([^/]+)\/data\.pkl$/.exec(name)?.[1])
    .filter((name) => name !== undefined);
  if (names.some((name) => /^[^/]+\/constants\.pkl$/.test(name))) {
    throw new InputError(`${file.path} is a TorchScript program, not a state dict.`, {
      hint: 'Save the state dict: `torch.save(module.state_dict(), path)`.',
      details: { file: file.path },
    });
  }
  if (root.length !== 1)
    throw new InputError(`${file.path} is a zip archive, but torch.save did not write it.`);
  return root[0]!;
}

async function checkByteOrder(file: RangeFile, zip: ZipFile, entry: Entry | undefined): Promise<void> {
  if (entry === undefined) return; // before PyTorch 2.1
  const length = Math.min(entry.uncompressedSize, 'little'.length + 1);
  const order = await readRange(file, await entryStart(file, zip, entry), length, 'its byteorder');
  if (order.toString('latin1') !== 'little') {
    throw new InputError(`${file.path} was saved on a big-endian machine (byteorder), which cannot be read.`);
  }
}

/** Where an entry's bytes begin. Only stored entries are read: PyTorch compresses none, and so none can unpack to a bomb. */
async function entryStart(file: RangeFile, zip: ZipFile, entry: Entry): Promise<number> {
  const name = quoted(entry.fileName);
  if (entry.compressionMethod !== STORED || entry.compressedSize !== entry.uncompressedSize) {
    throw new InputError(`${file.path} has the compressed entry ${name}; torch.save does not compress.`, {
      hint: 'Unpack the archive and pack it again without compression (`zip -0 -r`).',
      details: { file: file.path, entry: entry.fileName },
    });
  }
  if ((entry.generalPurposeBitFlag & ENCRYPTED_FLAG) !== 0) {
    throw new InputError(`${file.path} has the encrypted entry ${name}.`);
  }
  const header = await zip.readLocalFileHeaderPromise(entry, { minimal: true }).catch((cause: unknown) => {
    throw damaged(file, cause);
  });
  if (!(header.fileDataStart + entry.uncompressedSize <= file.size)) {
    throw new InputError(`${file.path} ends within its entry ${name}.`, { details: { file: file.path } });
  }
  return header.fileDataStart;
}

/** For a storage of which the file does not hold every byte. */
export function missingStorage(
  file: RangeFile,
  storage: StorageRecord,
  tensor: string,
  found: number,
): InputError {
  return new InputError(
    `${file.path} holds ${found} of the ${storage.bytes} bytes of the storage ${quoted(storage.key)}, where the tensor ${quoted(tensor)} lies.`,
    { hint: 'If it was downloaded, get it again.', details: { file: file.path, tensor } },
  );
}

function damaged(file: RangeFile, cause: unknown): InputError {
  if (cause instanceof InputError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new InputError(`${file.path} is a damaged zip archive: ${reason}.`, {
    hint: 'If it was downloaded, get it again.',
    cause,
    details: { file: file.path },
  });
}
