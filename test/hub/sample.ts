/** Repositories for the fake hub: the names that real ones have, and content that is always the same. */

import { createHash } from 'node:crypto';
import type { FakeFile, FakeRepository } from './fake-hub.js';

export const COMMIT = 'c0ffee0000000000000000000000000000000001';

/** `size` bytes that follow from `seed` alone. */
export function noise(seed: string, size: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, block) =>
    createHash('sha256').update(`${seed} ${block}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, size);
}

export function small(text: string): FakeFile {
  return { content: Buffer.from(text), lfs: false };
}

export function large(seed: string, size: number): FakeFile {
  return { content: noise(seed, size), lfs: true };
}

export function repository(
  files: Record<string, FakeFile>,
  more: Partial<FakeRepository> = {},
): FakeRepository {
  return { commit: COMMIT, refs: { main: COMMIT }, files, ...more };
}

const INDEX = {
  weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' },
};

/** As google/recurrentgemma-2b-it is laid out, some 2 MB. */
export function shardedRepository(more: Partial<FakeRepository> = {}): FakeRepository {
  return repository(
    {
      '.gitattributes': small('*.safetensors filter=lfs\n'),
      'README.md': small('# A model\n'),
      'config.json': small('{"model_type": "recurrent_gemma"}\n'),
      'generation_config.json': small('{}\n'),
      'model-00001-of-00002.safetensors': large('first shard', 1_500_000),
      'model-00002-of-00002.safetensors': large('second shard', 400_001),
      'model.safetensors.index.json': small(JSON.stringify(INDEX)),
      'model.gguf': large('gguf', 1000),
      'pytorch_model.bin': large('torch', 1000),
      'special_tokens_map.json': small('{"bos_token": "<bos>"}\n'),
      'tokenizer.json': large('tokenizer', 70_000),
      'tokenizer.model': large('sentencepiece', 30_000),
      'tokenizer_config.json': small('{"add_bos_token": true}\n'),
    },
    more,
  );
}

/** As google/recurrentgemma-2b-flax is laid out: Orbax in a folder, the tokenizer beside it. */
export function flaxRepository(): FakeRepository {
  return repository({
    'README.md': small('# A model\n'),
    '2b/_METADATA': small('{}'),
    '2b/_sharding': small('{"a": 1}'),
    '2b/checkpoint': large('msgpack', 5000),
    '2b/d/0123abcd': large('data', 300_000),
    '2b/manifest.ocdbt': small('manifest'),
    '2b/ocdbt.process_0/d/4567cdef': large('process data', 1000),
    '2b/ocdbt.process_0/manifest.ocdbt': small('inner manifest'),
    '2b/commit_success.txt': small(''),
    'tokenizer.model': large('sentencepiece', 30_000),
  });
}
