/** The Python names that a saved state dict may use, and what each stands for here. Every other name is refused. */

import { InputError } from '../../errors.js';
import { quoted } from '../quoted.js';
import { elementNames, storageElements, type TorchElement, torchElement } from './element-types.js';
import { GRIFFIN_CONFIG_CLASSES } from './griffin-config.js';
import { isCount, StorageRecord, TensorRecord } from './tensor-record.js';
import { type PickleContext, PickleGlobal, PickleRecord } from './unpickler.js';

/** A context in which one file's pickles are run: it knows tensors, storages, ordered dicts, and Griffin's configuration. */
export function torchContext(where: string): PickleContext {
  const fail = (problem: string) =>
    new InputError(`The pickle in ${where} ${problem}.`, { details: { file: where } });
  const globals = new Map<string, PickleGlobal>();
  const add = (name: string, build?: (args: readonly unknown[]) => unknown) => {
    globals.set(name, new PickleGlobal(name, build));
  };

  add('collections.OrderedDict', ([items]) => orderedDict(items, fail));
  add('torch.Size', ([sizes]) => (Array.isArray(sizes) ? sizes : []));
  add('torch._utils._rebuild_tensor', (args) => typedTensor(args, fail));
  add('torch._utils._rebuild_tensor_v2', (args) => typedTensor(args, fail));
  add('torch._utils._rebuild_tensor_v3', (args) => untypedTensor(args, fail));
  add('torch._utils._rebuild_parameter', (args) => parameter(args, fail));
  add('torch._utils._rebuild_parameter_with_state', (args) => parameter(args, fail));
  for (const name of elementNames()) add(`torch.${name}`);

  const storages = new Map<unknown, TorchElement | undefined>();
  const addStorage = (name: string, element: TorchElement | undefined) => {
    add(name);
    storages.set(globals.get(name), element);
  };
  for (const [name, element] of storageElements()) addStorage(`torch.${name}`, element);
  addStorage('torch.storage.UntypedStorage', undefined);

  for (const name of GRIFFIN_CONFIG_CLASSES) add(name, (args) => new PickleRecord(name, args));

  return {
    where,
    findGlobal: (name) => globals.get(name),
    loadPersistent: (id) => storageRecord(id, storages, fail),
  };
}

type Fail = (problem: string) => InputError;

/** `OrderedDict()`, or, as Python 2 pickled it, `OrderedDict([[key, value], …])`. */
function orderedDict(items: unknown, fail: Fail): Map<unknown, unknown> {
  if (items === undefined) return new Map();
  const pairs = Array.isArray(items) && items.every((item) => Array.isArray(item) && item.length === 2);
  if (!pairs) throw fail('has an OrderedDict of what are not pairs');
  return new Map(items as [unknown, unknown][]);
}

/** `(storage, offset, size, stride, requires_grad, backward_hooks, metadata)`: the storage's type is the tensor's. */
function typedTensor(args: readonly unknown[], fail: Fail): TensorRecord {
  const [storage, offset, shape, stride, , , metadata] = args;
  if (!(storage instanceof StorageRecord) || storage.element === undefined) {
    throw fail('has a tensor without a typed storage');
  }
  return new TensorRecord(storage, storage.element, offset, shape, stride, isAltered(metadata));
}

/** `(storage, offset, size, stride, requires_grad, backward_hooks, dtype, metadata)`: for types newer than typed storages. */
function untypedTensor(args: readonly unknown[], fail: Fail): TensorRecord {
  const [storage, offset, shape, stride, , , dtype, metadata] = args;
  const element =
    dtype instanceof PickleGlobal ? torchElement(dtype.name.replace(/^torch\./, '')) : undefined;
  if (!(storage instanceof StorageRecord) || element === undefined) {
    throw fail('has a tensor without a storage or without a type');
  }
  return new TensorRecord(storage, element, offset, shape, stride, isAltered(metadata));
}

/** `(data, requires_grad, backward_hooks[, state])`. */
function parameter([data]: readonly unknown[], fail: Fail): TensorRecord {
  if (!(data instanceof TensorRecord)) throw fail('has a parameter that is not a tensor');
  return data;
}

/** PyTorch's lazy negation and conjugation: the storage holds the values before it. */
function isAltered(metadata: unknown): boolean {
  return metadata instanceof Map && (metadata.get('neg') === true || metadata.get('conj') === true);
}

/** `('storage', class, key, device, count[, view])`; a view, in files of before 2018, is an offset that is not read. */
function storageRecord(
  id: unknown,
  storages: ReadonlyMap<unknown, TorchElement | undefined>,
  fail: Fail,
): StorageRecord {
  const [kind, storageClass, key, , count, view] = Array.isArray(id) ? id : [];
  if (kind !== 'storage') throw fail(`refers to ${quoted(kind)}, which is not a storage`);
  if (!storages.has(storageClass) || typeof key !== 'string' || !isCount(count)) {
    throw fail('has a storage without a type, a name or a size');
  }
  if (view !== undefined && view !== null)
    throw fail(`has a view of the storage ${quoted(key)}, which cannot be read`);
  return new StorageRecord(key, storages.get(storageClass), count);
}
