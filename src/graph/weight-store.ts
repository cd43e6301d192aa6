/** The weights of one model by path: who was asked for, who was missing or misshapen, and who was never used. */

import { InputError } from '../errors.js';
import { formatAxes } from './axis.js';
import type { DType, Shape } from './dtype.js';
import type { LazyTensor } from './lazy-tensor.js';

/** Dtypes that a weight may be stored in. */
const FLOATING: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16'];

/** Names of one kind that a message prints; the rest is counted there and listed in the error's details. */
const MAX_PRINTED = 20;

/**
 * Hands out weights while a graph is built. A weight that is missing or does not fit does not stop the building: all such are
 * listed together by {@link WeightStore.check}.
 */
export class WeightStore {
  readonly #tensors: ReadonlyMap<string, LazyTensor>;
  readonly #sourceName: (path: string) => string;
  readonly #taken = new Set<string>();
  readonly #missing: string[] = [];
  readonly #misfits: string[] = [];

  /** @param sourceName the checkpoint's own name of a path, for messages. */
  constructor(tensors: ReadonlyMap<string, LazyTensor>, sourceName = (path: string) => path) {
    this.#tensors = tensors;
    this.#sourceName = sourceName;
  }

  /** The weight at `path`; a stand-in of the asked shape where there is none, so that every fault is found in one pass. */
  take(path: string, shape: Shape): LazyTensor {
    const tensor = this.#tensors.get(path);
    this.#taken.add(path);
    const name = `"${this.#sourceName(path)}"`;
    if (!tensor) {
      this.#missing.push(name);
    } else if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
      const stored = tensor.storedShape ? ` (stored as ${formatAxes(tensor.storedShape)})` : '';
      this.#misfits.push(
        `${name} has shape ${formatAxes(tensor.shape)}${stored}; the config needs ${formatAxes(shape)}`,
      );
    } else if (!FLOATING.includes(tensor.dtype)) {
      this.#misfits.push(`${name} holds ${tensor.dtype}; a weight must be one of ${FLOATING.join(', ')}`);
    } else {
      return tensor;
    }
    return { dtype: 'float32', shape, read: nothing };
  }

  /**
   * Throws one InputError that lists every tensor that was missing, did not fit, or was left over.
   * @param source how the message names where the tensors came from.
   */
  check(source: string): void {
    const extra = [...this.#tensors.keys()]
      .filter((name) => !this.#taken.has(name))
      .map((name) => `"${name}"`);
    const faults = [
      ...listed('missing', this.#missing),
      ...listed('unfit', this.#misfits),
      ...listed('not part of this model', extra),
    ];
    if (faults.length === 0) return;
    throw new InputError(
      `${source} does not hold the model that its config describes:\n  ${faults.join('\n  ')}`,
      {
        hint: 'See what it holds with: recgemma inspect --tensors PATH',
        details: { missing: this.#missing, unfit: this.#misfits, extra },
      },
    );
  }
}

function listed(what: string, names: readonly string[]): string[] {
  const lines = names.slice(0, MAX_PRINTED).map((name) => `${what}: ${name}`);
  return names.length > MAX_PRINTED ? [...lines, `… and ${names.length - MAX_PRINTED} more ${what}`] : lines;
}

async function* nothing(): AsyncIterable<Uint8Array> {}
