/** Tensor names of each source layout, into DeepMind's Flax names: the only ones that the model definition knows. */

import type { Shape } from '../../graph/dtype.js';
import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { reshapeTensor, stackTensors, swapAxes } from '../../graph/transform.js';
import type { SourceLayout } from '../source-layout.js';
import { HUGGING_FACE_LAYER_RULES, HUGGING_FACE_RULES, type Rule } from './hugging-face-names.js';

/** Tensors under Flax names, and how to tell people of them in the source's own. */
export interface NamedTensors {
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** The source's name or names of a Flax path, for messages. */
  readonly sourceName: (path: string) => string;
  /** Tensors that must be equal, element for element as float32, because the model has only one of them. */
  readonly tied: readonly { readonly name: string; readonly tensor: LazyTensor; readonly path: string }[];
}

/** The layout that a set of tensor names has, if it is a Griffin's. */
export function detectLayout(names: Iterable<string>): SourceLayout | undefined {
  const all = [...names].map(withoutParams);
  const has = (pattern: RegExp) => all.some((name) => pattern.test(name));
  if (has(/^model\.layers\.\d+\.temporal_block\./)) return 'hf';
  if (!has(/^blocks\.\d+\.(recurrent|attention)_block\./)) return undefined;
  return has(/\.kernel$/) ? 'flax' : 'torch';
}

/** Renames and reshapes tensors of a layout. What no rule knows keeps its name, and is later listed as left over. */
export function toFlaxNames(layout: SourceLayout, tensors: ReadonlyMap<string, LazyTensor>): NamedTensors {
  if (layout === 'hf') return fromHuggingFace(tensors);
  const prefix = [...tensors.keys()].some((name) => name.startsWith(PARAMS)) ? PARAMS : '';
  const named = [...tensors].map(([name, tensor]): [string, LazyTensor] => {
    const path = withoutParams(name);
    // torch.nn.Linear stores [out, in]; nothing else in DeepMind's PyTorch code is called weight.
    if (layout !== 'torch' || !path.endsWith('.weight')) return [path, tensor];
    return [path.replace(/weight$/, 'kernel'), transform('transpose', [tensor])];
  });
  const suffix = layout === 'torch' ? 'weight' : 'kernel';
  return {
    tensors: new Map(named),
    sourceName: (path) => prefix + path.replace(/kernel$/, suffix),
    tied: [],
  };
}

const PARAMS = 'params.';

function withoutParams(name: string): string {
  return name.startsWith(PARAMS) ? name.slice(PARAMS.length) : name;
}

function fromHuggingFace(tensors: ReadonlyMap<string, LazyTensor>): NamedTensors {
  const left = new Map(tensors);
  const named = new Map<string, LazyTensor>();
  const layers = new Set(
    [...tensors.keys()].flatMap((name) => /^model\.layers\.(\d+)\./.exec(name)?.[1] ?? []),
  );
  const apply = (rule: Rule, flaxPrefix: string, hfPrefix: string) => {
    const sources = rule.hf.map((name) => `${hfPrefix}${name}`);
    const found = sources.flatMap((name) => left.get(name) ?? []);
    if (found.length < sources.length) return;
    for (const name of sources) left.delete(name);
    named.set(`${flaxPrefix}${rule.flax}`, transform(rule.transform, found));
  };
  for (const rule of HUGGING_FACE_RULES) apply(rule, '', '');
  for (const layer of layers) {
    for (const rule of HUGGING_FACE_LAYER_RULES) apply(rule, `blocks.${layer}.`, `model.layers.${layer}.`);
  }
  // The head is tied to the embedding; old .bin files store it as well.
  const head = left.get('lm_head.weight');
  left.delete('lm_head.weight');
  const tied = head ? [{ name: 'lm_head.weight', tensor: head, path: 'embedder.input_embedding' }] : [];
  return { tensors: new Map([...named, ...left]), sourceName: huggingFaceName, tied };
}

function huggingFaceName(path: string): string {
  const [, layer, name = path] = /^blocks\.(\d+)\.(.*)$/.exec(path) ?? [];
  const rules = layer === undefined ? HUGGING_FACE_RULES : HUGGING_FACE_LAYER_RULES;
  const rule = rules.find(({ flax }) => flax === name);
  const prefix = layer === undefined ? '' : `model.layers.${layer}.`;
  return rule ? rule.hf.map((hf) => `${prefix}${hf}`).join(' + ') : path;
}

/** Does with stored tensors what a rule says, and remembers their shape for messages where it was another. */
function transform(kind: Rule['transform'], stored: readonly LazyTensor[]): LazyTensor {
  const made = TRANSFORMS[kind](stored);
  return stored.includes(made) ? made : { ...made, storedShape: stored[0]!.shape };
}

/** What a rule does with the tensors it found; one whose shapes do not fit is passed on for the shape check to list. */
const TRANSFORMS: Readonly<Record<Rule['transform'], (tensors: readonly LazyTensor[]) => LazyTensor>> = {
  same: ([tensor]) => tensor!,
  transpose: ([tensor]) => (tensor!.shape.length === 2 ? swapAxes(tensor!) : tensor!),
  // [R, 1, 4], the taps in the same order, to [4, R].
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
};

function stackIfAlike(
  tensors: readonly LazyTensor[],
  convert: (tensor: LazyTensor) => LazyTensor,
): LazyTensor {
  const sameShape = (a: Shape, b: Shape) => a.length === b.length && a.every((size, i) => size === b[i]);
  const odd = tensors.find(({ shape }) => !sameShape(shape, tensors[0]!.shape));
  return odd ?? stackTensors(tensors.map(convert));
}
