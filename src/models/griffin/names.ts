/** Tensor names of each source layout, into DeepMind's Flax names: the only ones that the model definition knows. */

import type { LazyTensor } from '../../graph/lazy-tensor.js';
import { type NamedTensors, rename, transform, withoutTiedHead } from '../renaming.js';
import type { SourceLayout } from '../source-layout.js';
import { HUGGING_FACE } from './hugging-face-names.js';

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
  const { tensors: untied, tied } = withoutTiedHead(tensors, 'lm_head.weight', 'embedder.input_embedding');
  return { ...rename(untied, HUGGING_FACE), tied };
}
