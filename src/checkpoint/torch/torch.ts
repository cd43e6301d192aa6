/** Opens PyTorch checkpoints without PyTorch: `.pt`, `.pth`, `.ckpt` and `.bin` files, single or sharded. */

import { resolve } from 'node:path';
import { InputError } from '../../errors.js';
import { itemBytes, tensorBytes } from '../../graph/dtype.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import type { Checkpoint } from '../checkpoint.js';
import { openRangeFile, type RangeFile, readRange, streamRange } from '../file-range.js';
import { type FileNames, locateFile } from '../locate.js';
import { quoted } from '../quoted.js';
import { openSharded } from '../sharded.js';
import { gather } from './gather.js';
import { griffinConfig } from './griffin-config.js';
import { readLegacyFile, startsLikeLegacyFile } from './legacy-file.js';
import { stateDictTensors } from './state-dict.js';
import type { TensorView } from './tensor-record.js';
import { readZipArchive, type TorchContent } from './zip-archive.js';

/** An opened PyTorch checkpoint. */
export interface TorchCheckpoint extends Checkpoint {
  /** DeepMind's GriffinConfig in its own field names, where the file holds one under `config`, as their examples save it. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
}

const FILE_NAMES: FileNames = {
  usual: ['pytorch_model.bin', 'pytorch_model.bin.index.json'],
  patterns: [/\.bin\.index\.json$/, /\.(pt|pth|ckpt)$/],
};
const INDEX = /\.index\.json$/;

/** A zip archive's first entry begins so. */
const ZIP_MAGIC = 0x504b0304;

/** Enough of a file to hold the pickle of its magic number. */
const START_BYTES = 64;

/** Most bytes that are held to put a tensor that is stored transposed or sliced in order; a 9B model's largest has 200 MB. */
const MAX_SPAN_BYTES = 512 * 2 ** 20;

/**
 * Opens a PyTorch file, a `*.bin.index.json` with its shards, or a folder that holds one of them. What is in it is never run: a
 * file that names anything but tensors is refused. Throws InputError for that, and for every file that is damaged.
 */
export async function openTorch(path: string): Promise<TorchCheckpoint> {
  const file = await locateFile(path, FILE_NAMES);
  if (file === undefined) {
    throw new InputError(
      `${path} holds neither pytorch_model.bin, nor an index, nor exactly one .pt, .pth or .ckpt file.`,
    );
  }
  if (!INDEX.test(file)) return { ...(await openFile(file)), path };
  return { ...(await openSharded(file, openFile)), path, config: undefined };
}

/** Whether the path is, by its content, a PyTorch file (or another zip archive), or else an index or a folder that leads to some. */
export async function looksLikeTorch(path: string): Promise<boolean> {
  const found = await locateFile(path, FILE_NAMES);
  if (found === undefined) return false;
  if (INDEX.test(found)) return found.endsWith('.bin.index.json');
  const file = await openRangeFile(found).catch(() => undefined);
  if (file === undefined) return false;
  try {
    return (await contentKind(file)) !== undefined;
  } finally {
    await file.handle.close();
  }
}

async function openFile(path: string): Promise<TorchCheckpoint> {
  const file = await openRangeFile(path);
  try {
    const content = await readContent(file);
    const tensors = new Map<string, LazyTensor>();
    for (const [name, view] of stateDictTensors(path, content.root)) {
      tensors.set(name, await lazily(file, content, name, view));
    }
    const config = griffinConfig(content.root instanceof Map ? content.root.get('config') : undefined);
    return {
      format: 'torch',
      path,
      files: [resolve(path)],
      tensors,
      config,
      close: () => file.handle.close(),
    };
  } catch (error) {
    await file.handle.close();
    throw error;
  }
}

async function readContent(file: RangeFile): Promise<TorchContent> {
  const kind = await contentKind(file);
  if (kind === 'zip') return readZipArchive(file);
  if (kind === 'legacy') return readLegacyFile(file);
  throw new InputError(
    `${file.path} is not a PyTorch file: it is neither a zip archive nor a pickle of torch.save.`,
    {
      hint: 'A git-lfs pointer instead of the file itself looks like this too.',
      details: { file: file.path },
    },
  );
}

async function contentKind(file: RangeFile): Promise<'zip' | 'legacy' | undefined> {
  const start = await readRange(file, 0, Math.min(START_BYTES, file.size), 'its first bytes');
  if (start.length >= 4 && start.readUInt32BE() === ZIP_MAGIC) return 'zip';
  return startsLikeLegacyFile(start) ? 'legacy' : undefined;
}

async function lazily(
  file: RangeFile,
  content: TorchContent,
  name: string,
  view: TensorView,
): Promise<LazyTensor> {
  const { dtype, shape, stride, contiguous } = view;
  const what = `the tensor ${quoted(name)}`;
  const start = (await content.storageStart(view.storage, name)) + view.offset * itemBytes(dtype);
  if (contiguous)
    return { dtype, shape, read: () => streamRange(file, start, tensorBytes(dtype, shape), what) };

  const spanBytes = view.span * itemBytes(dtype);
  if (spanBytes > MAX_SPAN_BYTES) {
    throw new InputError(
      `${file.path} stores ${what} transposed or sliced over ${spanBytes} bytes, more than can be put in order.`,
      {
        hint: 'Call `.contiguous()` on it in PyTorch and save it again.',
        details: { file: file.path, tensor: name },
      },
    );
  }
  const read = async function* () {
    const span = await readRange(file, start, spanBytes, what);
    yield* gather(span.buffer, { itemBytes: itemBytes(dtype), shape, stride });
  };
  return { dtype, shape, read };
}
