/** Tensors that are nothing but a shape, for what reads no elements. */

import type { Shape } from '../../src/graph/dtype.js';
import type { LazyTensor } from '../../src/graph/lazy-tensor.js';

/** A tensor of this shape; reading it fails the test. */
export function shapeTensor(shape: Shape): LazyTensor {
  return {
    dtype: 'float32',
    shape,
    read: () => {
      throw new Error(`a tensor of shape [${shape.join(', ')}] was read`);
    },
  };
}

/** Such tensors by name. */
export function shapeTensors(shapes: Readonly<Record<string, Shape>>): Map<string, LazyTensor> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, shapeTensor(shape)]));
}
