/** Products and look-ups of every form of matrix, run by onnxruntime, beside double precision: also where rows are zero or channels stand out. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Graph } from '../../../src/graph/graph.js';
import type { MatrixForm } from '../../../src/graph/matrix-form.js';
import { MODEL_FILE, saveModel } from '../../../src/graph/save.js';
import { Scope } from '../../../src/graph/scope.js';
import { WeightStore } from '../../../src/graph/weight-store.js';
import { matricesOf } from '../../../src/models/matrices/choose.js';
import { int8Matrices } from '../../../src/models/matrices/int8.js';
import { chooseInt8Form } from '../../../src/quantize/choose.js';
import { releasePool } from '../../../src/quantize/pool.js';
import { gaussian, relativeError, tensorOf } from '../../quantize/matrices.js';
import { temporaryFolder } from '../../support/goldens.js';

after(releasePool);

const [ROWS, INPUT, OUTPUT] = [6, 256, 96];
const LAYER = 'layer';

const none = () => {};
const form = (precision: Parameters<typeof matricesOf>[0], blockSize = 128) =>
  matricesOf(precision, { blockSize, onMatrix: none });

/** The forms, and the relative error of a product of Gaussian values: that of the weights, and in the last four that of the rounded rows. */
const FORMS: readonly (readonly [name: string, matrices: MatrixForm, error: number])[] = [
  ['fp32', form('fp32'), 1e-6],
  ['fp16', form('fp16'), 5e-4],
  ['int8', form('int8'), 0.015],
  ['int8 in two groups', int8Matrices(new Map([[LAYER, { kind: 'columns', groups: 2 }]]), none), 0.015],
  ['int8 in blocks', int8Matrices(new Map([[LAYER, { kind: 'blocks', blockSize: 128 }]]), none), 0.015],
  ['int4 in blocks of 128', form('int4'), 0.13],
  ['int4 in blocks of 32', form('int4', 32), 0.11],
];

/** What onnxruntime gives for `x` `[ROWS, INPUT]` and a layer of this kernel `[INPUT, OUTPUT]` and bias. */
async function linear(
  matrices: MatrixForm,
  x: Float32Array,
  kernel: Float32Array,
  bias: Float32Array,
): Promise<Float32Array> {
  const graph = new Graph('linear');
  const scope = new Scope(graph, new WeightStore(new Map()), matrices);
  const dense = {
    at: scope.at(LAYER),
    kernel: tensorOf(kernel, [INPUT, OUTPUT]),
    bias: tensorOf(bias, [OUTPUT]),
  };
  const [y] = matrices.linear(scope, graph.input('x', 'float32', ['rows', INPUT]), [dense]);
  graph.output('y', y!);
  return run(graph, new Tensor('float32', x, [ROWS, INPUT]));
}

async function run(graph: Graph, x: Tensor): Promise<Float32Array> {
  const folder = await temporaryFolder();
  await saveModel(graph, folder, { producerVersion: '0', metadata: {} });
  const session = await InferenceSession.create(join(folder, MODEL_FILE), { logSeverityLevel: 3 });
  const { y } = await session.run({ x });
  await session.release();
  return y!.data as Float32Array;
}

/** `x kernel + bias` in double precision. */
function exact(x: Float32Array, kernel: Float32Array, bias: Float32Array): Float32Array {
  return Float32Array.from({ length: ROWS * OUTPUT }, (_, i) => {
    const [row, column] = [Math.floor(i / OUTPUT), i % OUTPUT];
    let sum = bias[column]!;
    for (let k = 0; k < INPUT; k++) sum += x[row * INPUT + k]! * kernel[k * OUTPUT + column]!;
    return sum;
  });
}

/** The relative error of a product. */
async function errorOf(matrices: MatrixForm, x: Float32Array, kernel: Float32Array): Promise<number> {
  const bias = gaussian(OUTPUT, 7);
  return relativeError(await linear(matrices, x, kernel, bias), exact(x, kernel, bias));
}

const x = gaussian(ROWS * INPUT, 3);
const kernel = gaussian(INPUT * OUTPUT, 5);

for (const [name, matrices, allowed] of FORMS) {
  describe(`a matrix of ${name}`, () => {
    it('multiplies nearly as one of double precision', async () => {
      const error = await errorOf(matrices, x, kernel);
      assert.ok(error < allowed, `${error}`);
    });

    it('gives the bias for a row of zeros, and for columns of zeros, exactly', async () => {
      const [someRows, someColumns] = [x.slice(), kernel.slice()];
      someRows.fill(0, 2 * INPUT, 3 * INPUT);
      for (let k = 0; k < INPUT; k++) someColumns[k * OUTPUT + 11] = 0;
      const bias = gaussian(OUTPUT, 7);
      const y = await linear(matrices, someRows, someColumns, bias);
      assert.deepEqual(y.slice(2 * OUTPUT, 3 * OUTPUT), bias);
      for (let row = 0; row < ROWS; row++) assert.equal(y[row * OUTPUT + 11], bias[11]);
      assert.ok(relativeError(y, exact(someRows, someColumns, bias)) < allowed);
    });

    it('looks rows up, and multiplies by its transpose', async () => {
      const graph = new Graph('table');
      const scope = new Scope(graph, new WeightStore(new Map()), matrices);
      const table = matrices.table(scope, 'table', tensorOf(kernel, [INPUT, OUTPUT]));
      const ids = graph.input('x', 'int64', ['tokens']);
      graph.output('y', table.product(table.lookUp(ids)));
      const chosen = [0, 200, 255, 200];
      const y = await run(graph, new Tensor('int64', BigInt64Array.from(chosen, BigInt), [chosen.length]));
      const row = (id: number) => kernel.subarray(id * OUTPUT, (id + 1) * OUTPUT);
      const expected = chosen.flatMap((id) =>
        Array.from({ length: INPUT }, (_, other) =>
          row(id).reduce((sum, value, i) => sum + value * row(other)[i]!, 0),
        ),
      );
      // The rows are rounded, and so is what they are multiplied by.
      assert.ok(relativeError(y, Float32Array.from(expected)) < 2 * allowed);
    });
  });
}

describe('a channel a hundred times as large as the others', () => {
  const CHANNEL = 77;

  it('in the weights makes int8 take another form, which keeps the other channels', async () => {
    const uneven = kernel.slice();
    for (let n = 0; n < OUTPUT; n++) uneven[CHANNEL * OUTPUT + n]! *= 100;
    const { form: chosen, tried } = await chooseInt8Form(tensorOf(uneven, [INPUT, OUTPUT]));
    assert.ok(tried.length > 1);
    // An input that does not touch the channel shows what became of the rest.
    const rest = x.map((value, i) => (i % INPUT === CHANNEL ? 0 : value));
    const plain = await errorOf(form('int8'), rest, uneven);
    const fitted = await errorOf(int8Matrices(new Map([[LAYER, chosen]]), none), rest, uneven);
    assert.ok(plain > 0.2, `${plain}`);
    // Blocks of 128 keep it from one half.
    assert.ok(fitted < 0.8 * plain, `${fitted} and ${plain}`);
    for (const matrices of [form('int8'), int8Matrices(new Map([[LAYER, chosen]]), none)]) {
      const error = await errorOf(matrices, x, uneven);
      assert.ok(error < 0.06, `${error}`);
    }
  });

  it('in one row of values does not harm another row', async () => {
    const uneven = x.slice();
    uneven[4 * INPUT + CHANNEL]! *= 100;
    const bias = gaussian(OUTPUT, 7);
    const [without, found] = [
      await linear(form('int8'), x, kernel, bias),
      await linear(form('int8'), uneven, kernel, bias),
    ];
    const others = (y: Float32Array) => [...y.subarray(0, 4 * OUTPUT), ...y.subarray(5 * OUTPUT)];
    assert.deepEqual(others(found), others(without));
    // In its own row the other 255 values are rounded to whole steps of a 127th of it: off by 0.3 of a step each, 16 times as much together.
    const error = relativeError(found, exact(uneven, kernel, bias));
    assert.ok(error < 0.06, `${error}`);
  });
});
