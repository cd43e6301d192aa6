/** Reference outputs of another implementation: a JSON file of prompts and results, with logits and states in a safetensors file. */

import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { MAX_JSON_BYTES, parseJsonObject } from '../checkpoint/json-object.js';
import { openSafetensors } from '../checkpoint/safetensors.js';
import { InputError } from '../errors.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import { castTensor, collect } from '../graph/transform.js';

/** A greedy continuation. */
export interface ReferenceGreedy {
  readonly tokens: readonly number[];
  /** Natural logarithm of each token's probability. */
  readonly logprobs: readonly number[];
}

/** One prompt and what the model makes of it. */
export interface ReferencePrompt {
  readonly name: string;
  readonly tokens: readonly number[];
  /** Name of the tensor `[positions, vocab]`, and the positions, ascending. */
  readonly logits?: { readonly tensor: string; readonly positions: readonly number[] };
  readonly greedy?: ReferenceGreedy;
  readonly states: readonly ReferenceState[];
}

/** One layer's state tensor after a prompt. */
export interface ReferenceState {
  readonly layer: number;
  /** `rg_lru_state`, `conv1d_state`, `keys` or `values`. */
  readonly what: string;
  readonly tensor: string;
  /** Of keys and values: the position in each slot, -1 for an unused one. */
  readonly slotPositions: readonly number[] | undefined;
}

/** A continuation's log probability. */
export interface ReferenceLikelihood {
  readonly context: readonly number[];
  readonly continuation: readonly number[];
  readonly sum: number;
  readonly isGreedy: boolean;
}

/** A file of reference outputs; every part may be left out. Close it when done. */
export interface Reference {
  readonly path: string;
  /** The model's config in its family's field names. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly prompts: readonly ReferencePrompt[];
  /** Prompts to run in one batch, and what each gives alone. */
  readonly ragged: readonly { readonly tokens: readonly number[]; readonly greedy: ReferenceGreedy }[];
  readonly likelihoods: readonly ReferenceLikelihood[];
  /** A tensor's elements as float32; `shape` is what it must have. */
  read(name: string, shape?: readonly number[]): Promise<{ shape: readonly number[]; values: Float32Array }>;
  close(): Promise<void>;
}

/**
 * Opens a file of reference outputs; `fixtures/goldens/README.md` describes the form.
 * @param vocabSize token ids must be below it.
 * @throws InputError where it is of another form, or its tensors are not there.
 */
export async function openReference(path: string, vocabSize: number): Promise<Reference> {
  const values = Object.fromEntries(parseJsonObject(await readLimited(path), path));
  const json = new Reader({ path, vocabSize }, values, '');
  const prompts = json.list('prompts').map(readPrompt);
  const ragged = json.optional('ragged_batch');
  const raggedPrompts = ragged?.idLists('prompts') ?? [];
  const continuations = ragged?.list('continuations').map(readGreedy) ?? [];
  if (raggedPrompts.length !== continuations.length) {
    throw new InputError(`${path}: ragged_batch has not as many continuations as prompts.`);
  }
  const likelihoods = json.list('loglikelihood').map((each) => ({
    context: each.ids('context'),
    continuation: each.ids('continuation'),
    sum: each.number('sum'),
    isGreedy: each.values.is_greedy === true,
  }));
  if (prompts.length + raggedPrompts.length + likelihoods.length === 0) {
    throw new InputError(`${path} holds no reference outputs.`, { hint: FORM });
  }
  const file = await openTensors(path, json.optionalText('tensors'));
  return {
    path,
    config: json.optional('config')?.values ?? {},
    prompts,
    ragged: raggedPrompts.map((tokens, i) => ({ tokens, greedy: continuations[i]! })),
    likelihoods,
    read: (name, shape) => readTensor(path, file?.tensors.get(name), name, shape),
    close: async () => file?.close(),
  };
}

const FORM = 'The form of reference outputs is described in fixtures/goldens/README.md.';

function readPrompt(json: Reader): ReferencePrompt {
  const tensor = json.optionalText('logits');
  const greedy = json.optional('greedy');
  return {
    name: json.optionalText('name') ?? 'a prompt',
    tokens: json.ids('tokens'),
    ...(tensor !== undefined && { logits: { tensor, positions: json.numbers('logit_positions') } }),
    ...(greedy && { greedy: readGreedy(greedy) }),
    states: readStates(json.optional('state')),
  };
}

function readGreedy(json: Reader): ReferenceGreedy {
  return { tokens: json.ids('tokens'), logprobs: json.numbers('logprobs') };
}

/** `{"blocks.2.keys": tensor name, "blocks.2.slot_positions": [...], …}`. */
function readStates(json: Reader | undefined): ReferenceState[] {
  return Object.entries(json?.values ?? {}).flatMap(([key, tensor]) => {
    const [, layer, what] = /^blocks\.(\d{1,4})\.(rg_lru_state|conv1d_state|keys|values)$/.exec(key) ?? [];
    if (layer === undefined || what === undefined || typeof tensor !== 'string') return [];
    const slots = `blocks.${layer}.slot_positions`;
    const slotPositions = json!.values[slots] === undefined ? undefined : json!.numbers(slots);
    return [{ layer: Number(layer), what, tensor, slotPositions }];
  });
}

async function readLimited(path: string): Promise<Buffer> {
  const file = await open(path).catch((cause: unknown) => {
    throw new InputError(`${path} cannot be read.`, { cause });
  });
  try {
    const { size } = await file.stat();
    if (size > MAX_JSON_BYTES)
      throw new InputError(`${path} is longer than ${MAX_JSON_BYTES} bytes of JSON.`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

async function openTensors(path: string, name: string | undefined): Promise<Checkpoint | undefined> {
  if (name === undefined) return undefined;
  if (name !== basename(name)) throw new InputError(`${path}: its tensors "${name}" must lie beside it.`);
  return openSafetensors(join(dirname(path), name));
}

async function readTensor(
  path: string,
  tensor: LazyTensor | undefined,
  name: string,
  shape: readonly number[] | undefined,
): Promise<{ shape: readonly number[]; values: Float32Array }> {
  if (!tensor) throw new InputError(`${path} names a tensor "${name}" that its tensors file has not.`);
  if (shape && shape.join() !== tensor.shape.join()) {
    throw new InputError(
      `${path}: the tensor "${name}" is [${tensor.shape.join(', ')}]; [${shape.join(', ')}] is needed.`,
    );
  }
  const bytes = await collect(castTensor(tensor, 'float32'));
  return { shape: tensor.shape, values: new Float32Array(bytes.buffer) };
}

/** Takes typed values out of JSON, and says where one is something else. */
class Reader {
  constructor(
    readonly file: { readonly path: string; readonly vocabSize: number },
    readonly values: Readonly<Record<string, unknown>>,
    readonly place: string,
  ) {}

  /** A list of objects; empty where there is none. */
  list(field: string): Reader[] {
    const value = this.values[field] ?? [];
    if (!Array.isArray(value)) throw this.#not(field, 'a list');
    return value.map((_, i) => this.#object(value[i], `${field}[${i}]`));
  }

  /** A list of lists of token ids. */
  idLists(field: string): number[][] {
    const value = this.values[field];
    const { vocabSize } = this.file;
    if (Array.isArray(value) && value.every((each) => areIds(each, vocabSize))) return value;
    throw this.#not(field, `a list of lists of token ids below ${vocabSize}`);
  }

  /** Token ids, at least one. */
  ids(field: string): number[] {
    const value = this.values[field];
    const { vocabSize } = this.file;
    if (areIds(value, vocabSize)) return value;
    throw this.#not(field, `a list of token ids below ${vocabSize}`);
  }

  numbers(field: string): number[] {
    const value = this.values[field];
    if (!areNumbers(value)) throw this.#not(field, 'a list of numbers');
    return value;
  }

  number(field: string): number {
    const value = this.values[field];
    if (typeof value !== 'number') throw this.#not(field, 'a number');
    return value;
  }

  optionalText(field: string): string | undefined {
    const value = this.values[field];
    if (value !== undefined && typeof value !== 'string') throw this.#not(field, 'a text');
    return value;
  }

  optional(field: string): Reader | undefined {
    const value = this.values[field];
    return value === undefined || value === null ? undefined : this.#object(value, field);
  }

  #object(value: unknown, field: string): Reader {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.#not(field, 'an object');
    return new Reader(this.file, Object.fromEntries(Object.entries(value)), `${this.place}${field}.`);
  }

  #not(field: string, what: string): InputError {
    return new InputError(`${this.file.path}: ${this.place}${field} is not ${what}.`, { hint: FORM });
  }
}

function areNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'number');
}

function areIds(value: unknown, vocabSize: number): value is number[] {
  const isId = (id: number) => Number.isInteger(id) && id >= 0 && id < vocabSize;
  return areNumbers(value) && value.length > 0 && value.every(isId);
}
