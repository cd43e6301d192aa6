/** The same weights give the same model, to the bit, whatever the format they were stored in. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { convert } from '../../src/convert/convert.js';
import { readModelFolder } from '../../src/manifest.js';
import { goldenOptions, missing, NOT_SHARED, temporaryFolder } from '../support/goldens.js';

/** Forms of the same weights, by model and dtype. */
const FORMS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'rg-tiny': {
    f32: [
      'flax-ocdbt-f32',
      'flax-zarr-f32',
      'flax-orbax057-params-f32',
      'flax-zarr3-f32',
      'flax-standard-f32',
      'flax-sharded-zarr-f32',
      'dmtorch-f32.pt',
      'dmtorch-strided-f32.pt',
      'hf-f32',
      'hf-bin-f32',
    ],
    bf16: [
      'flax-release-bf16',
      'flax-release-zarr-bf16',
      'flax-ocdbt-bf16',
      'flax-zarr-bf16',
      'flax-zarr-raw-bf16',
      'flax-ocdbt-zarr3-bf16',
      'flax-standard-bf16',
      'flax-manager-bf16',
      'flax-v1-bf16',
      'flax-sharded-ocdbt-bf16',
      'dmtorch-bf16.pt',
      'dmtorch-prefixed-bf16.pt',
      'dmtorch-legacy-bf16.pt',
      'dmtorch-example-bf16.pt',
      'hf-sharded-bf16',
      'hf-bf16',
    ],
  },
  'gemma-mqa-tiny': {
    f32: ['flax-ocdbt-f32', 'flax-nested-f32', 'torch-f32.ckpt', 'hf-f32', 'hf-sharded-f32', 'hf-bin-f32'],
    bf16: ['hf-bf16'],
  },
  'gemma-mha-tiny': {
    f32: ['flax-ocdbt-f32', 'torch-f32.ckpt', 'hf-f32', 'hf-sharded-f32', 'hf-bin-f32'],
    bf16: ['hf-bf16'],
  },
  'mistral-tiny': { f32: ['hf-sharded-f32', 'hf-f32', 'hf-bin-f32'], bf16: ['hf-bf16'] },
  'mamba-tiny': {
    f32: ['hf-f32', 'hf-bin-f32', 'state-spaces-f32', 'hf-sharded-f32'],
    bf16: ['hf-bf16'],
  },
};

/** In which format a form is stored, and in whose names; the first that fits. */
const SOURCES: readonly (readonly [form: RegExp, source: string])[] = [
  [/^flax-/, 'orbax flax'],
  [/^(dm)?torch-/, 'torch torch'],
  [/^(hf-bin|state-spaces)-/, 'torch hf'],
  [/^hf-/, 'safetensors hf'],
];

/** Hashes of graph and weights, and what the manifest says of the model and of the source. */
async function convertedForm(checkpoint: string) {
  const out = join(await temporaryFolder(), 'model');
  await convert({ ...goldenOptions(checkpoint), out });
  const { manifest } = await readModelFolder(out);
  return {
    graph: manifest.files['model.onnx']!.sha256,
    weights: manifest.files['model.onnx.data']!.sha256,
    config: manifest.config,
    source: `${manifest.source.format} ${manifest.source.layout}`,
  };
}

for (const [model, dtypes] of Object.entries(FORMS)) {
  describe(`every form of ${model}`, () => {
    const found = new Map<string, Awaited<ReturnType<typeof convertedForm>>>();
    for (const form of Object.values(dtypes).flat()) {
      it(`converts: ${form}`, { skip: missing(`checkpoints/${model}/${form}`) }, async () => {
        const made = await convertedForm(`${model}/${form}`);
        found.set(form, made);
        assert.equal(made.source, SOURCES.find(([name]) => name.test(form))![1]);
      });
    }

    for (const [dtype, forms] of Object.entries(dtypes)) {
      if (forms.length === 1) continue;
      it(`gives the same config, graph and weights: ${dtype}`, (t) => {
        const converted = forms.filter((form) => found.has(form));
        if (converted.length < 2) return t.skip(NOT_SHARED);
        const { source: _, ...first } = found.get(converted[0]!)!;
        for (const form of converted) {
          const { source, ...made } = found.get(form)!;
          assert.deepEqual({ form, ...made }, { form, ...first });
        }
      });
    }

    it('has other weights where they were rounded, and the same graph', (t) => {
      const [exact, rounded] = ['f32', 'bf16'].map((dtype) =>
        dtypes[dtype]!.map((form) => found.get(form)).find((made) => made !== undefined),
      );
      if (!exact || !rounded) return t.skip(NOT_SHARED);
      assert.notEqual(exact.weights, rounded.weights);
      assert.equal(exact.graph, rounded.graph);
    });
  });
}
