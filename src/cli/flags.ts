/** Flags that several commands share, and the parsers of their values. */

import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Flags, type Interfaces } from '@oclif/core';
import { UsageError } from '../errors.js';
import type { DeviceName } from '../index.js';

/** The error for a value that a flag does not take: names both, and says what would do. */
function unfit(flag: string, value: string, expected: string): UsageError {
  return new UsageError(`--${flag} must be ${expected}, not "${value}".`, {
    details: { flag, value, expected },
  });
}

/** The limits of a number, both included. */
interface Range extends Interfaces.CustomOptions {
  readonly min?: number;
  readonly max?: number;
}

function inRange(value: number, { min = -Infinity, max = Infinity }: Range): boolean {
  return value >= min && value <= max;
}

function describeRange(what: string, { min, max }: Range): string {
  if (min !== undefined && max !== undefined) return `${what} from ${min} to ${max}`;
  if (min !== undefined) return `${what}, ${min} or more`;
  return max === undefined ? what : `${what}, ${max} or less`;
}

/** A whole number within `min` and `max`. */
export const integerFlag = Flags.custom<number, Range>({
  parse: async (text, _, flag) => {
    const value = Number(text);
    if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(value) && inRange(value, flag)) return value;
    throw unfit(flag.name, text, describeRange('a whole number', flag));
  },
  helpValue: '<n>',
});

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A number within `min` and `max`. */
export const numberFlag = Flags.custom<number, Range>({
  parse: async (text, _, flag) => {
    if (DECIMAL.test(text) && Number.isFinite(Number(text)) && inRange(Number(text), flag))
      return Number(text);
    throw unfit(flag.name, text, describeRange('a number', flag));
  },
  helpValue: '<x>',
});

/** A probability, from 0 to 1. */
export const probabilityFlag = Flags.custom<number>({
  parse: async (text, _, flag) => {
    if (DECIMAL.test(text) && inRange(Number(text), { min: 0, max: 1 })) return Number(text);
    throw unfit(flag.name, text, 'a probability from 0 to 1');
  },
  helpValue: '<p>',
});

/** A sampling temperature: 0, which means greedy, or more. */
export const temperatureFlag = Flags.custom<number>({
  parse: async (text, _, flag) => {
    if (DECIMAL.test(text) && inRange(Number(text), { min: 0, max: Number.MAX_VALUE })) return Number(text);
    throw unfit(flag.name, text, 'a temperature: 0 (always the likeliest token) or more');
  },
  helpValue: '<t>',
});

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kib: 1024,
  kb: 1000,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  mb: 1000 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  gb: 1000 ** 3,
};

/** A number of bytes: `4096`, `512MiB`, `1.5G` (K, M and G are binary, KB, MB and GB decimal). */
export const byteSizeFlag = Flags.custom<number>({
  parse: async (text, _, flag) => {
    const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text) ?? [];
    const bytes = Math.round(Number(digits) * (BYTE_UNITS[unit.toLowerCase()] ?? Number.NaN));
    if (digits !== '' && Number.isSafeInteger(bytes)) return bytes;
    throw unfit(flag.name, text, 'a size such as 4096, 512MiB or 2GiB');
  },
  helpValue: '<size>',
});

/** A path that must exist. */
export const existingPathFlag = Flags.custom<string>({
  parse: async (text, _, flag) => {
    if (statSync(text, { throwIfNoEntry: false }) !== undefined) return text;
    throw unfit(flag.name, text, 'a path that exists');
  },
  helpValue: '<path>',
});

/** A file to write, whose place is looked at before the work begins: a folder, a device or a pipe cannot be replaced. */
export const outputFileFlag = Flags.custom<string>({
  parse: async (text, _, flag) => {
    const look = (path: string) => statSync(path, { throwIfNoEntry: false });
    if ((look(text)?.isFile() ?? true) && look(dirname(resolve(text)))?.isDirectory()) return text;
    throw unfit(flag.name, text, 'a file in a folder that exists');
  },
  helpValue: '<file>',
});

/** Where a model can run. */
const DEVICES = ['cpu', 'webgpu', 'cuda'] as const satisfies readonly DeviceName[];

/** `-m/--model`: the model folder. */
export const modelFlag = existingPathFlag({
  char: 'm',
  required: true,
  summary: 'Model folder, as recgemma convert wrote it.',
  helpValue: '<dir>',
});

/** `--device`. */
export const deviceFlag = Flags.option({
  options: DEVICES,
  default: 'cpu' as const,
  summary: 'Where to run; recgemma devices shows what can.',
})();

/** `--threads`: undefined is one for each core that this process may use. */
export const threadsFlag = integerFlag({
  min: 1,
  max: 1024,
  summary: 'CPU threads; by default one for each core.',
});

const BATCH = { char: 'b', min: 1, max: 4096 } as const;

/** `-b/--batch`: undefined leaves the number to the command. */
export const batchFlag = integerFlag({ ...BATCH, summary: 'Sequences that run together.' });

/** `-b/--batch` where undefined leaves the number to memory. */
export const autoBatchFlag = integerFlag({
  ...BATCH,
  summary: 'Sequences that run together; by default as many as there is memory for, up to 64.',
});

/** `--ordered`. */
export const orderedFlag = Flags.boolean({
  summary: 'Write results in the order of the input, not as they are finished.',
});

/** `--seed`: undefined means another sequence each time. */
export const seedFlag = integerFlag({
  min: 0,
  max: Number.MAX_SAFE_INTEGER,
  summary: 'Seed of the random numbers; the same seed gives the same text.',
});
