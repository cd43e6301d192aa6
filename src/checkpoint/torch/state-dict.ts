/** Finding the state dict in what a file holds, and giving each tensor its one name. */

import { InputError } from '../../errors.js';
import { quoted } from '../quoted.js';
import { checkTensor, TensorRecord, type TensorView } from './tensor-record.js';

/** Keys under which training scripts keep the state dict beside an optimizer's state, a step count or a configuration. */
const WRAPPERS = ['model', 'model_state_dict', 'state_dict', 'params'];

/** Deepest nesting of dicts: parameter trees have about five levels. */
const MAX_DEPTH = 32;

/**
 * Every tensor of the state dict by name; names of nested dicts are joined by `.`. A dict that holds one of the usual wrappers
 * stands for what is in it. Values that are not tensors are skipped. Throws InputError if there is no tensor at all.
 */
export function stateDictTensors(where: string, root: unknown): Map<string, TensorView> {
  const tensors = new Map<string, TensorView>();
  const seen = new Set<unknown>();

  const collect = (dict: ReadonlyMap<unknown, unknown>, prefix: string, depth: number) => {
    // One dict in two places, or inside itself, could stand for endlessly many names.
    if (seen.has(dict) || depth > MAX_DEPTH)
      throw new InputError(`${where} has dicts that are nested in a circle or too deep.`);
    seen.add(dict);
    for (const [key, value] of dict) {
      if (!(value instanceof TensorRecord || value instanceof Map)) continue;
      if (typeof key !== 'string') throw new InputError(`${where} has a tensor whose name is not text.`);
      const name = prefix + key;
      if (value instanceof Map) {
        collect(value, `${name}.`, depth + 1);
      } else {
        if (tensors.has(name))
          throw new InputError(`${where} holds two tensors of the name ${quoted(name)}.`);
        tensors.set(name, checkTensor(where, name, value));
      }
    }
  };

  const stateDict = unwrap(where, root);
  collect(stateDict, '', 0);
  if (tensors.size === 0) {
    throw new InputError(`${where} holds no tensors.`, {
      hint: 'What is needed is a state dict: names and tensors.',
    });
  }
  return tensors;
}

function unwrap(where: string, root: unknown): ReadonlyMap<unknown, unknown> {
  let dict = root;
  for (let depth = 0; dict instanceof Map; depth++) {
    const key = WRAPPERS.find((name) => dict instanceof Map && dict.get(name) instanceof Map);
    if (key === undefined || depth > MAX_DEPTH) return dict;
    dict = dict.get(key);
  }
  throw new InputError(`${where} holds something other than a dict of tensors.`, {
    hint: 'Save the state dict: `torch.save(model.state_dict(), path)`.',
    details: { file: where },
  });
}
