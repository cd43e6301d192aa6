/** A checkpoint that is nowhere: random weights of a preset's shapes, for measurements that no trained model is needed for. */

import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { elementCount, type Shape } from '../graph/dtype.js';
import { Graph } from '../graph/graph.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import { Scope } from '../graph/scope.js';
import { borrow, giveBack } from '../graph/scratch.js';
import { WeightStore } from '../graph/weight-store.js';
import type { UntrainedModel } from '../models/family.js';
import { type Distribution, LEVELS } from '../models/initial-weights.js';
import { floatMatrices } from '../models/matrices/float.js';
import { createRandomBits } from '../runtime/random.js';

/** Elements of a piece. */
const PIECE = 1 << 20;

/**
 * The weights that a model asks for, each drawn from its own distribution and its own stream of random numbers: a weight depends on
 * the seed and its name, and not on what is read before it.
 * @param path what messages call the checkpoint.
 */
export function randomCheckpoint(path: string, model: UntrainedModel, seed: number): Checkpoint {
  const asked = new AskedShapes();
  model.build(new Scope(new Graph('untrained'), asked, floatMatrices('float32')));
  const tensors = [...asked.shapes].map(([name, shape]): [string, LazyTensor] => [
    name,
    randomTensor(shape, model.initial(name, shape), createStream(seed, name)),
  ]);
  return { format: 'random', path, files: [], tensors: new Map(tensors), close: async () => {} };
}

/** Gives a stand-in for every weight, and remembers its shape. */
class AskedShapes extends WeightStore {
  readonly shapes = new Map<string, Shape>();

  constructor() {
    super(new Map());
  }

  override take(path: string, shape: Shape): LazyTensor {
    this.shapes.set(path, shape);
    return super.take(path, shape);
  }
}

/** Starts the stream of the weight called `name`. */
function createStream(seed: number, name: string): () => () => number {
  return () => createRandomBits(seed, ...Buffer.from(name));
}

/** bfloat16, as published checkpoints are. */
function randomTensor(shape: Shape, distribution: Distribution, start: () => () => number): LazyTensor {
  return {
    dtype: 'bfloat16',
    shape,
    async *read() {
      const bits = start();
      const values = bfloat16Levels(distribution);
      const count = elementCount(shape);
      const memory = borrow(2 * Math.min(PIECE, count));
      const piece = new Uint16Array(memory.buffer, 0, memory.byteLength / 2);
      try {
        for (let left = count; left > 0; left -= PIECE) {
          draw(piece, values, bits);
          yield memory.subarray(0, 2 * Math.min(PIECE, left));
        }
      } finally {
        giveBack(memory);
      }
    },
  };
}

/** Fills `piece` with elements of `values`, two for every 32 random bits. */
function draw(piece: Uint16Array, values: Uint16Array, bits: () => number): void {
  for (let i = 0; i < piece.length; i += 2) {
    const chosen = bits();
    piece[i] = values[chosen & (LEVELS - 1)]!;
    piece[i + 1] = values[chosen >>> 16]!;
  }
}

/** A distribution's values as bfloat16 bits, rounded to the nearest. */
function bfloat16Levels(distribution: Distribution): Uint16Array {
  const floats = Float32Array.from({ length: LEVELS }, (_, i) => distribution(i));
  // Half of the lowest kept bit more, and what follows cut off; no level is a tie or near infinity.
  return Uint16Array.from(new Uint32Array(floats.buffer), (bits) => (bits + 0x8000) >>> 16);
}
