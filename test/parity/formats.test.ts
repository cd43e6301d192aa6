/** The same weights give the same model, to the bit, whatever the format they were stored in. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { convert } from '../../src/convert/convert.js';
import { readModelFolder } from '../../src/manifest.js';
import { goldenOptions, missing, temporaryFolder } from '../support/goldens.js';

const FORMS: Readonly<Record<'f32' | 'bf16', readonly string[]>> = {
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
};

/** Hashes of graph and weights by form, and what the manifest says of the source. */
async function hashesOf(form: string) {
  const out = join(await temporaryFolder(), 'model');
  await convert({ ...goldenOptions(`rg-tiny/${form}`), out });
  const { manifest } = await readModelFolder(out);
  return {
    graph: manifest.files['model.onnx']!.sha256,
    weights: manifest.files['model.onnx.data']!.sha256,
    source: `${manifest.source.format} ${manifest.source.layout}`,
  };
}

describe('every form of rg-tiny', () => {
  const found = new Map<string, Awaited<ReturnType<typeof hashesOf>>>();
  for (const form of Object.values(FORMS).flat()) {
    it(`converts: ${form}`, { skip: missing(`checkpoints/rg-tiny/${form}`) }, async () => {
      const hashes = await hashesOf(form);
      found.set(form, hashes);
      const layout = /^(flax|dmtorch|hf)/.exec(form)?.[1];
      const format = form.includes('hf-bin')
        ? 'torch'
        : { flax: 'orbax', dmtorch: 'torch', hf: 'safetensors' }[layout!];
      assert.equal(hashes.source, `${format} ${layout === 'dmtorch' ? 'torch' : layout}`);
    });
  }

  for (const [dtype, forms] of Object.entries(FORMS)) {
    it(`gives the same graph and weights: ${dtype}`, () => {
      const converted = forms.filter((form) => found.has(form));
      // The fixtures hold at least an Orbax, a PyTorch and a Hugging Face form of each.
      assert.ok(converted.length >= 3, `only ${converted.join(', ')} could be compared`);
      const first = found.get(converted[0]!)!;
      for (const form of converted) {
        const { graph, weights } = found.get(form)!;
        assert.deepEqual({ form, graph, weights }, { form, graph: first.graph, weights: first.weights });
      }
    });
  }

  it('has other weights where they were rounded, and the same graph', () => {
    const [exact, rounded] = [found.get('hf-bin-f32')!, found.get('hf-bf16')!];
    assert.notEqual(exact.weights, rounded.weights);
    assert.equal(exact.graph, rounded.graph);
  });
});
