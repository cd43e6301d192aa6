/** Opens whatever checkpoint lies at a path; the format is told by content, not by name. */

import { stat } from 'node:fs/promises';
import { InputError } from '../errors.js';
import type { Checkpoint, CheckpointFormat } from './checkpoint.js';

/** One format: how it is told, and how it is opened. Readers are loaded when they are needed. */
interface Reader {
  readonly format: CheckpointFormat;
  recognises(path: string): Promise<boolean>;
  open(path: string): Promise<Checkpoint>;
}

/** In the order in which they are tried: where a folder holds the same weights twice, safetensors are the quickest to read. */
const READERS: readonly Reader[] = [
  {
    format: 'safetensors',
    recognises: async (path) => (await import('./safetensors.js')).looksLikeSafetensors(path),
    open: async (path) => (await import('./safetensors.js')).openSafetensors(path),
  },
  {
    format: 'torch',
    recognises: async (path) => (await import('./torch/torch.js')).looksLikeTorch(path),
    open: async (path) => (await import('./torch/torch.js')).openTorch(path),
  },
  {
    format: 'orbax',
    recognises: async (path) => (await import('./orbax/orbax.js')).looksLikeOrbax(path),
    open: async (path) => (await import('./orbax/orbax.js')).openOrbax(path),
  },
];

/**
 * Opens the checkpoint at `path`, a file or a folder.
 * @param formats the formats that may be meant, the preferred one first; by default all.
 * @throws InputError where there is none, or where it is damaged.
 */
export async function openCheckpoint(
  path: string,
  formats?: readonly CheckpointFormat[],
): Promise<Checkpoint> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new InputError(`${path} does not exist.`, { cause, hint: hubHint(path) });
  });
  const readers =
    formats?.flatMap((format) => READERS.filter((reader) => reader.format === format)) ?? READERS;
  for (const reader of readers) {
    if (await reader.recognises(path)) return reader.open(path);
  }
  const kinds = readers.map((reader) => reader.format).join(', ');
  for (const other of READERS) {
    if (readers.includes(other) || !(await other.recognises(path))) continue;
    throw new InputError(`${path} is a checkpoint of format ${other.format}, not of ${kinds}.`, {
      hint: 'Leave out --from: the format is told by the content.',
    });
  }
  const what = found.isDirectory() ? 'holds no checkpoint' : 'is no checkpoint';
  throw new InputError(`${path} ${what} that is known (${kinds}).`, {
    hint: 'Give a folder or file of safetensors, a PyTorch .pt or .bin, or the folder that Orbax wrote.',
  });
}

function hubHint(path: string): string {
  const looksLikeRepository = /^[\w-]+\/[\w.-]+$/.test(path);
  return looksLikeRepository
    ? `To download it from the Hugging Face hub, write hf:${path}.`
    : 'Check the path; a checkpoint on the Hugging Face hub is written hf:org/name.';
}
