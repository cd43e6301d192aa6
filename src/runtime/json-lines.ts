/** JSON Lines from a file or a stream, each with its place, so that an error can name the line. */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { InputError } from '../errors.js';

/** One line of a file, parsed. */
export interface JsonLine {
  /** `FILE line 3`, as messages name it. */
  readonly place: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/**
 * Reads a file, or stdin for `-`, line by line; empty lines are passed over.
 * @throws InputError naming the line that is not a JSON object.
 */
export async function* readJsonLines(
  path: string,
  stdin: Readable = process.stdin,
): AsyncGenerator<JsonLine> {
  const name = path === '-' ? 'stdin' : path;
  if (path !== '-' && !(await stat(path).catch(() => undefined))?.isFile()) {
    throw new InputError(`${path} is not a file that can be read.`);
  }
  const lines = createInterface({
    input: path === '-' ? stdin : createReadStream(path),
    crlfDelay: Infinity,
  });
  let number = 0;
  try {
    for await (const line of lines) {
      number++;
      if (line.trim() === '') continue;
      yield { place: `${name} line ${number}`, value: parseLine(line, `${name} line ${number}`) };
    }
  } finally {
    lines.close();
  }
}

function parseLine(line: string, place: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new InputError(`${place} is not JSON.`, { cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new InputError(`${place} is not a JSON object.`);
}

/** A field that is a text where it is there. @throws InputError naming the line. */
export function textField({ value, place }: JsonLine, field: string): string | undefined {
  const found = value[field];
  if (found === undefined || typeof found === 'string') return found;
  throw new InputError(`${place}: "${field}" must be a text.`);
}

/** A field that is a list of token ids where it is there. @throws InputError naming the line. */
export function idsField({ value, place }: JsonLine, field: string): number[] | undefined {
  const found = value[field];
  if (found === undefined) return undefined;
  if (Array.isArray(found) && found.every((id) => Number.isSafeInteger(id) && id >= 0)) return found;
  throw new InputError(`${place}: "${field}" must be a list of token ids.`);
}

/** The line's own name, or its place in the file, counted from 0. @throws InputError naming the line. */
export function idField({ value, place }: JsonLine, index: number): string {
  const { id } = value;
  if (id === undefined) return String(index);
  if (typeof id === 'string' || typeof id === 'number') return String(id);
  throw new InputError(`${place}: "id" must be a text or a number.`);
}
