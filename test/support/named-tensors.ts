/** What a family makes of the tensors of a golden checkpoint: names, shapes, elements, and what it says of those that do not fit. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { buildGraph } from '../../src/convert/build-graph.js';
import { settleStorage } from '../../src/convert/storage.js';
import { InputError } from '../../src/errors.js';
import type { Shape } from '../../src/graph/dtype.js';
import type { LazyTensor } from '../../src/graph/lazy-tensor.js';
import { castTensor, collect } from '../../src/graph/transform.js';
import type { ConfigInputs, ModelFamily } from '../../src/models/family.js';
import type { NamedTensors } from '../../src/models/renaming.js';
import type { SourceLayout } from '../../src/models/source-layout.js';
import { goldenPath } from './goldens.js';
import { shapeTensor } from './shape-tensors.js';

type Tensors = ReadonlyMap<string, LazyTensor>;

/** Opens `checkpoints/{checkpoint}`, hands its tensors to `use`, and closes it. */
export async function withTensors<T>(checkpoint: string, use: (tensors: Tensors) => T): Promise<Awaited<T>> {
  const opened = await openCheckpoint(goldenPath(`checkpoints/${checkpoint}`)!);
  try {
    return await use(opened.tensors);
  } finally {
    await opened.close();
  }
}

/** Shape and hash of the float32 elements of every tensor, in the order of their names. */
export async function contentOf({ tensors }: NamedTensors): Promise<Record<string, string>> {
  const content: [string, string][] = [];
  for (const [name, tensor] of tensors) {
    const elements = await collect(castTensor(tensor, 'float32'));
    const hash = createHash('sha256').update(elements).digest('hex');
    content.push([name, `[${tensor.shape.join(', ')}] ${hash}`]);
  }
  return Object.fromEntries(content.sort());
}

/** Expects that every tensor of the model is named in messages as the checkpoint itself does. */
export function assertSpokenOf({ tensors, sourceName }: NamedTensors, stored: Tensors): void {
  for (const path of tensors.keys()) {
    const names = sourceName(path).split(' + ');
    for (const name of names) assert.ok(stored.has(name), `${path} is called ${name}`);
  }
}

/** Gives each tensor in turn shapes that it must not have, and expects one InputError that names the tensor, or sizes that contradict each other. */
export function assertWrongShapesRefused(
  family: ModelFamily,
  layout: SourceLayout,
  tensors: Tensors,
  inputs: ConfigInputs,
): number {
  const { tied } = family.prepare(layout, tensors, inputs);
  const names = [...tensors.keys()].filter((name) => !tied.some((copy) => copy.name === name));
  const wrong = names.flatMap((name) =>
    wrongShapes(tensors.get(name)!.shape).map((shape) => ({ name, shape })),
  );
  for (const { name, shape } of wrong) {
    const changed = new Map(tensors).set(name, shapeTensor(shape));
    const what = `${name} of shape [${shape.join(', ')}]`;
    const build = () =>
      buildGraph(family.prepare(layout, changed, inputs), settleStorage({}), 'a checkpoint');
    assert.throws(
      build,
      (error) => {
        assert.ok(error instanceof InputError, `${what}: ${(error as Error).stack}`);
        const names = error.message.split(/"| \+ /);
        assert.ok(
          names.includes(name) || /contradicts itself/.test(error.message),
          `${what}: ${error.message}`,
        );
        return true;
      },
      what,
    );
  }
  return wrong.length;
}

/** No axis, one, more, other sizes. */
function wrongShapes(shape: Shape): Shape[] {
  const shapes: Shape[] = [[], [3], [3, 3], [2, 2, 2], [1, 2, 1, 2], [...shape, 1], [2, ...shape]];
  const resized = shape.flatMap((_, axis) =>
    [1, -1].map((more) => shape.map((size, i) => (i === axis ? size + more : size))),
  );
  return [...shapes, ...resized].filter((each) => each.join() !== shape.join());
}
