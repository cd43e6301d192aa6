/** Turns a checkpoint's tensors into those that a model definition asks for, by rules: new names, and other shapes where the layouts differ. */

import type { Shape } from '../graph/dtype.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import { reshapeTensor, stackTensors, swapAxes } from '../graph/transform.js';

/** Tensors under the model's names, and how to tell people of them in the source's own. */
export interface NamedTensors {
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** The source's name or names of a path, for messages. */
  readonly sourceName: (path: string) => string;
  /** Tensors that must be equal, element for element as float32, because the model has only one of them. */
  readonly tied: readonly TiedCopy[];
}

/** A stored copy of the weight at `path`. */
export interface TiedCopy {
  readonly name: string;
  readonly tensor: LazyTensor;
  readonly path: string;
}

/** Tensors that have the model's names already. */
export function alreadyNamed(tensors: ReadonlyMap<string, LazyTensor>): NamedTensors {
  return { tensors, sourceName: (path) => path, tied: [] };
}

/** How one tensor of the model is made of the source's. */
export interface Rule {
  /** The model's path; a layer's below `blocks.{i}.`. */
  readonly path: string;
  /** The source's names; a layer's below its prefix. */
  readonly from: readonly string[];
  readonly transform: keyof typeof TRANSFORMS | Transform;
}

/** Makes one tensor of several; one whose shape does not fit is passed on for the shape check to list. */
export type Transform = (tensors: readonly LazyTensor[]) => LazyTensor;

/** The rules of one source layout. */
export interface Renaming {
  readonly rules: readonly Rule[];
  readonly layerRules: readonly Rule[];
  /** What stands before the number of a layer, such as `model.layers.`. */
  readonly layerPrefix: string;
  /** Names of what is stored and not learnt, such as tables of angles. */
  readonly ignored?: RegExp;
  /** A stored name as the rules spell it, where files of one layout spell it in several ways. */
  readonly plainName?: (name: string) => string;
}

/** The rules of a dense layer `[out, in]` as torch.nn.Linear stores it. */
export function denseRules(path: string, from: string, options = { bias: true }): Rule[] {
  const kernel: Rule = { path: `${path}.kernel`, from: [`${from}.weight`], transform: 'transpose' };
  const bias: Rule = { path: `${path}.bias`, from: [`${from}.bias`], transform: 'same' };
  return options.bias ? [kernel, bias] : [kernel];
}

/** Renames and reshapes tensors. What no rule knows keeps its name, and is later listed as left over. */
export function rename(
  tensors: ReadonlyMap<string, LazyTensor>,
  { rules, layerRules, layerPrefix, ignored, plainName = (name) => name }: Renaming,
): Omit<NamedTensors, 'tied'> {
  const stored = new Map([...tensors.keys()].map((name) => [plainName(name), name]));
  const used = new Set<string>();
  const named = new Map<string, LazyTensor>();
  const apply = (rule: Rule, prefix: string, sourcePrefix: string) => {
    const sources = rule.from.flatMap((name) => stored.get(`${sourcePrefix}${name}`) ?? []);
    if (sources.length < rule.from.length) return;
    for (const name of sources) used.add(name);
    const found = sources.map((name) => tensors.get(name)!);
    named.set(`${prefix}${rule.path}`, transform(rule.transform, found));
  };
  for (const rule of rules) apply(rule, '', '');
  for (const layer of layersIn(stored.keys(), layerPrefix)) {
    for (const rule of layerRules) apply(rule, `blocks.${layer}.`, `${layerPrefix}${layer}.`);
  }
  const left = [...tensors].filter(([name]) => !(used.has(name) || ignored?.test(name)));
  const sourceName = (path: string) => {
    const [, layer, name] = /^blocks\.(\d+)\.(.*)$/.exec(path) ?? [];
    const prefix = layer === undefined ? '' : `${layerPrefix}${layer}.`;
    const fitting = (layer === undefined ? rules : layerRules).filter((rule) => rule.path === (name ?? path));
    // Several rules may make one tensor; the one whose sources are there did.
    const rule = fitting.find(({ from }) => from.every((each) => stored.has(`${prefix}${each}`)));
    const from = (rule ?? fitting[0])?.from.map((each) => `${prefix}${each}`) ?? [path];
    return from.map((each) => stored.get(each) ?? each).join(' + ');
  };
  return { tensors: new Map([...named, ...left]), sourceName };
}

/**
 * Takes the head's matrix, which some files store beside the embedding that it is tied to, out of the tensors.
 * @param path where the model has the one matrix.
 */
export function withoutTiedHead(
  tensors: ReadonlyMap<string, LazyTensor>,
  name: string,
  path: string,
): { readonly tensors: ReadonlyMap<string, LazyTensor>; readonly tied: readonly TiedCopy[] } {
  const head = tensors.get(name);
  if (!head) return { tensors, tied: [] };
  const left = new Map(tensors);
  left.delete(name);
  return { tensors: left, tied: [{ name, tensor: head, path }] };
}

/** The numbers that follow the prefix, in the order in which they come. */
function layersIn(names: Iterable<string>, prefix: string): ReadonlySet<string> {
  const numbers = [...names].flatMap((name) => {
    return name.startsWith(prefix) ? (/^(\d+)\./.exec(name.slice(prefix.length))?.[1] ?? []) : [];
  });
  return new Set(numbers);
}

/** Does with stored tensors what a rule says, and remembers their shape for messages where it was another. */
export function transform(kind: Rule['transform'], stored: readonly LazyTensor[]): LazyTensor {
  const made = (typeof kind === 'function' ? kind : TRANSFORMS[kind])(stored);
  return stored.includes(made) ? made : { ...made, storedShape: stored[0]!.shape };
}

/** The transforms that several layouts have. */
const TRANSFORMS = {
  same: ([tensor]) => tensor!,
  transpose: ([tensor]) => (tensor!.shape.length === 2 ? swapAxes(tensor!) : tensor!),
  // [R, 1, taps], in the same order, to [taps, R].
  conv: ([tensor]) => {
    const [channels = 0, one, taps = 0] = tensor!.shape;
    return tensor!.shape.length === 3 && one === 1
      ? swapAxes(reshapeTensor(tensor!, [channels, taps]))
      : tensor!;
  },
  // gate [M, C] and up [M, C] to [2, C, M].
  stackTransposed: (tensors) => stackIfAlike(tensors, (tensor) => swapAxes(tensor)),
  // gate [M] and up [M] to [2, 1, 1, M].
  stackBiases: (tensors) => stackIfAlike(tensors, (tensor) => reshapeTensor(tensor, [1, 1, ...tensor.shape])),
} as const satisfies Readonly<Record<string, Transform>>;

function stackIfAlike(
  tensors: readonly LazyTensor[],
  convert: (tensor: LazyTensor) => LazyTensor,
): LazyTensor {
  const sameShape = (a: Shape, b: Shape) => a.length === b.length && a.every((size, i) => size === b[i]);
  const odd = tensors.find(({ shape }) => !sameShape(shape, tensors[0]!.shape));
  return odd ?? stackTensors(tensors.map(convert));
}
