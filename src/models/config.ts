/** What every family's configuration is put together with: typed fields of JSON files, sources that must agree, and field names. */

import { InputError, UsageError } from '../errors.js';

/** A parsed JSON object, nothing yet known of its values. */
export type Json = Readonly<Record<string, unknown>>;

/** What one source says of a config, and how an error names it. */
export interface ConfigSource<C> {
  readonly label: string;
  readonly values: Partial<C>;
}

/** Layers that can be built: far above any model. */
export const MAX_LAYERS = 4096;

/** Far above any model, and low enough that products of two sizes stay exact. */
const MAX_SIZE = 2 ** 24;

/** A field as files spell it: `lruWidth` is `lru_width`. */
export function fieldName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A config, or what is known of one, in the form that `--model-config` reads. */
export function publishedConfig(config: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([field, value]) => [fieldName(field), value]));
}

/** @throws InputError naming the first of the fields that is no whole number from 1 to `most`. */
export function requireSizes<F extends string>(
  config: Readonly<Record<F, unknown>>,
  fields: readonly F[],
  most = MAX_SIZE,
): void {
  for (const field of fields) {
    const value = config[field];
    if (Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= most) continue;
    throw new InputError(
      `The config's ${fieldName(field)} is ${value}; it must be a whole number from 1 to ${most}.`,
    );
  }
}

/** How many layers some tensors are of, by the numbers that the pattern's group finds in their names; undefined where it finds none. */
export function countLayers(tensors: ReadonlyMap<string, unknown>, pattern: RegExp): number | undefined {
  const layers = [...tensors.keys()].flatMap((name) => Number(pattern.exec(name)?.[1] ?? -1));
  const count = 1 + Math.max(-1, ...layers);
  return count > 0 ? count : undefined;
}

/** The values that are there. */
export function definedOnly<C>(values: { readonly [F in keyof C]?: C[F] | undefined }): Partial<C> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<C>;
}

/**
 * Merges sources; each field may come from several, which must then agree.
 * @param print how an error writes a value; values that print alike are alike.
 * @throws InputError naming every contradiction, with both values and where they come from.
 */
export function mergeSources<C>(
  fields: readonly (keyof C & string)[],
  sources: readonly ConfigSource<C>[],
  print: (value: unknown) => string,
): Partial<C> {
  const contradictions: string[] = [];
  const merged = fields.flatMap((field) => {
    const speaking = sources.filter(({ values }) => values[field] !== undefined);
    const first = speaking[0];
    const other = speaking.find(({ values }) => print(values[field]) !== print(first?.values[field]));
    if (first && other) {
      contradictions.push(
        `${fieldName(field)} is ${print(first.values[field])} in ${first.label} but ${print(other.values[field])} in ${other.label}`,
      );
    }
    return first ? [[field, first.values[field]]] : [];
  });
  if (contradictions.length > 0) {
    throw new InputError(`The configuration contradicts itself: ${contradictions.join('; ')}.`, {
      details: { contradictions },
    });
  }
  return Object.fromEntries(merged) as Partial<C>;
}

/**
 * The sources and a preset, which says the size of the vocabulary only where no source does: files pad it (gemma/transformer.py has 256128 rows for 256000 tokens), and
 * people add tokens.
 */
export function withPreset<C extends { readonly vocabSize: number }>(
  sources: readonly ConfigSource<C>[],
  preset: ConfigSource<C> | undefined,
): readonly ConfigSource<C>[] {
  if (!preset) return sources;
  const isSaid = sources.some(({ values }) => values.vocabSize !== undefined);
  const values = isSaid ? { ...preset.values, vocabSize: undefined } : preset.values;
  return [...sources, { label: preset.label, values: definedOnly<C>(values) }];
}

/** The preset so named as a source. @throws UsageError with the names that there are. */
export function presetOf<C>(presets: Readonly<Record<string, Partial<C>>>, name: string): ConfigSource<C> {
  const values = Object.hasOwn(presets, name) ? presets[name] : undefined;
  if (values) return { label: `preset ${name}`, values };
  throw new UsageError(`There is no preset "${name}".`, {
    hint: `Presets: ${Object.keys(presets).join(', ')}.`,
  });
}

/** Takes typed values out of a JSON object; null counts as absent. Each method throws an InputError for a value of another type. */
export class FieldReader {
  constructor(
    readonly json: Json,
    readonly label: string,
  ) {}

  number(field: string): number | undefined {
    return this.read(field, 'a number', (value): value is number => typeof value === 'number');
  }

  boolean(field: string): boolean | undefined {
    return this.read(field, 'true or false', (value): value is boolean => typeof value === 'boolean');
  }

  string(field: string): string | undefined {
    return this.read(field, 'a text', (value): value is string => typeof value === 'string');
  }

  object(field: string): Json | undefined {
    return this.read(
      field,
      'an object',
      (value): value is Json => typeof value === 'object' && !Array.isArray(value),
    );
  }

  /** Refuses a value that the model definition has built in. */
  expect(field: string, ...supported: readonly (number | string | boolean)[]): void {
    const value = this.json[field];
    if (value === undefined || value === null || supported.some((each) => each === value)) return;
    const known = supported.map((each) => JSON.stringify(each)).join(' or ');
    throw new InputError(`${this.label} has ${field} ${JSON.stringify(value)}; only ${known} is supported.`);
  }

  /** @param what a value of this type, in words. */
  read<T>(field: string, what: string, fits: (value: unknown) => value is T): T | undefined {
    const value = this.json[field];
    if (value === undefined || value === null) return undefined;
    if (fits(value)) return value;
    throw new InputError(`${this.label} has ${field} ${JSON.stringify(value)}; it must be ${what}.`);
  }
}
