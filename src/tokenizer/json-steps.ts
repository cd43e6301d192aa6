/** The steps of a `tokenizer.json`, and how one that is not supported is refused by its name. */

import { InputError } from '../errors.js';
import { isRecord } from './json-format.js';

/** A normalizer, pre-tokenizer, post-processor or decoder as the file has it. */
export type Step = Readonly<Record<string, unknown>>;

/**
 * The steps of a part in their order: none for null, several where it is a `Sequence`, which lists them under `key`. What is no step has
 * no type, and is refused as such.
 */
export function stepsOf(part: unknown, key: string): readonly Step[] {
  if (part === null || part === undefined) return [];
  const whole = asStep(part);
  const list = whole.type === 'Sequence' ? whole[key] : undefined;
  return Array.isArray(list) ? list.map(asStep) : [whole];
}

function asStep(value: unknown): Step {
  return isRecord(value) ? value : {};
}

/** Names a part by what it does: `the pre_tokenizer Split, Digits`. */
export function partOf(name: string, steps: readonly Step[]): string {
  return steps.length === 0 ? `no ${name}` : `the ${name} ${steps.map((step) => step.type).join(', ')}`;
}

/** That a file asks for what is not supported. */
export function unsupported(file: string, what: string): InputError {
  return new InputError(
    `${file} cannot be read: it has ${what}, and what that does to a text is not known here.`,
    {
      hint: 'Name another with --tokenizer, or move this one away: without a tokenizer a model folder takes and gives token ids.',
      details: { file, unsupported: what },
    },
  );
}
