/** JSON objects out of untrusted files, as Maps, so that a tensor named `__proto__` is only a name. */

import { InputError } from '../errors.js';

/**
 * Longest JSON that is parsed. A header takes about 120 bytes a tensor, so this is room for 100 000 of them; more would let a
 * crafted file of nothing but brackets cost gigabytes, since `JSON.parse` needs up to 50 bytes for one.
 */
export const MAX_JSON_BYTES = 16 * 2 ** 20;

/** Parses UTF-8 JSON whose root is an object; `where` names it in the InputError for anything else. */
export function parseJsonObject(bytes: Uint8Array, where: string): Map<string, unknown> {
  if (bytes.length > MAX_JSON_BYTES) {
    throw new InputError(`${where} is longer than ${MAX_JSON_BYTES} bytes of JSON.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new InputError(`${where} is not valid JSON.`, { cause });
  }
  const entries = jsonEntries(value);
  if (entries === undefined) throw new InputError(`${where} is not a JSON object.`);
  return entries;
}

/** The entries of a parsed JSON object, or undefined if the value is something else. */
export function jsonEntries(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value));
}
