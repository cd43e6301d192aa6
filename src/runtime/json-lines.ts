/** JSON Lines from a file or a stream, each with its place, so that an error can name the line. */

import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import { InputError } from '../errors.js';
import type { RequestId } from './generate.js';

/** One line of a file, parsed. */
export interface JsonLine {
  /** `FILE line 3`, as messages name it. */
  readonly place: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** How {@link readJsonLines} reads. */
export interface JsonLinesOptions {
  readonly stdin?: Readable;
  /** Ends the waiting for more, too. */
  readonly signal?: AbortSignal | undefined;
}

/** Longer lines hold more than any prompt; without a limit one endless line would take all memory. */
const MAX_LINE_CHARACTERS = 64 << 20;

/**
 * Reads a file (or a pipe), or stdin for `-`, line by line; empty lines are passed over.
 * @throws InputError naming the line that is not a JSON object; the signal's reason on abort.
 */
export async function* readJsonLines(path: string, options: JsonLinesOptions = {}): AsyncGenerator<JsonLine> {
  const { stdin = process.stdin, signal } = options;
  const name = path === '-' ? 'stdin' : path;
  const input = path === '-' ? stdin : createReadStream(path);
  let number = 0;
  for await (const line of splitLines(input, name, signal)) {
    number++;
    const place = `${name} line ${number}`;
    if (line.trim() !== '') yield { place, value: parseLine(line, place) };
  }
}

/** Cuts at line feeds only: readline also cuts at U+2028, which may stand inside a JSON text. */
async function* splitLines(
  input: Readable,
  name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  const stream = signal ? addAbortSignal(signal, input) : input;
  const decoder = new TextDecoder(); // drops a byte order mark
  let rest = '';
  try {
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE_CHARACTERS) throw new InputError(`${name} has a line of more than 64 MiB.`);
      yield* lines;
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof InputError) throw error;
    throw new InputError(`${name} cannot be read: ${error instanceof Error ? error.message : error}.`, {
      cause: error,
    });
  }
  yield rest + decoder.decode();
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

/** The line's own name as it is, or its place in the file, counted from 0. @throws InputError naming the line. */
export function idField({ value, place }: JsonLine, index: number): RequestId {
  const { id } = value;
  if (id === undefined) return String(index);
  if (typeof id === 'string' || typeof id === 'number') return id;
  throw new InputError(`${place}: "id" must be a text or a number.`);
}
