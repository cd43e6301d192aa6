import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '../../src/errors.js';
import { chooseFiles } from '../../src/hub/choose.js';
import { parseHubReference } from '../../src/hub/reference.js';

function choose(reference: string, paths: string[]): string[] {
  return chooseFiles(paths, parseHubReference(reference)!).toSorted();
}

test('safetensors go before every other form, and GGUF is never taken', () => {
  const others = [
    'pytorch_model.bin',
    '2b.pt',
    'model.gguf',
    '2b/_METADATA',
    '2b/d/0',
    'README.md',
    'onnx/model.onnx',
  ];
  assert.deepEqual(choose('hf:a/b', ['config.json', 'model.safetensors', ...others]), [
    'config.json',
    'model.safetensors',
  ]);
  assert.deepEqual(choose('hf:a/b', others), ['pytorch_model.bin']);
  assert.deepEqual(choose('hf:a/b', others.slice(1)), ['2b.pt']);
  assert.deepEqual(choose('hf:a/b', others.slice(2)), ['2b/_METADATA', '2b/d/0']);
  assert.throws(() => choose('hf:a/b', ['model.gguf', 'README.md']), { name: 'InputError', message: /GGUF/ });
});

test('one set of weights is taken where a folder holds them several times over', () => {
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const index = 'model.safetensors.index.json';
  assert.deepEqual(choose('hf:a/b', [...shards, index, 'consolidated.safetensors']), [...shards, index]);
  assert.deepEqual(choose('hf:a/b', [...shards, 'model.safetensors', 'model.fp16.safetensors']), [
    'model.safetensors',
  ]);
  assert.deepEqual(choose('hf:a/b', shards), shards, 'shards without an index');
  const bins = ['pytorch_model-00001-of-00001.bin', 'pytorch_model.bin.index.json'];
  assert.deepEqual(choose('hf:a/b', [...bins, 'training_args.bin', 'optimizer.pt']), bins);
});

test('an adapter, an optimizer or a lone index are no checkpoint', () => {
  const paths = ['adapter_model.safetensors', 'optimizer.pt', 'model.safetensors.index.json', 'config.json'];
  assert.throws(() => choose('hf:a/b', paths), {
    name: 'InputError',
    message: /no safetensors, PyTorch or Orbax weights/,
  });
  assert.throws(() => choose('hf:a/b', []), { name: 'InputError', message: /is empty/ });
  assert.throws(() => choose('hf:a/b/2b', ['model.safetensors']), {
    name: 'InputError',
    message: /has no 2b/,
  });
  assert.throws(() => choose('hf:a/b/config.json', ['config.json']), InputError);
});

test('in a -flax repository Orbax goes first, whole, with the tokenizer beside it', () => {
  const orbax = [
    '2b/_METADATA',
    '2b/checkpoint',
    '2b/d/01',
    '2b/ocdbt.process_0/manifest.ocdbt',
    '2b/blocks.0.w/.zarray',
  ];
  const paths = [...orbax, 'tokenizer.model', '2b/README.md', 'model.safetensors', '.gitattributes'];
  assert.deepEqual(choose('hf:a/b-flax/2b', paths), [...orbax, 'tokenizer.model'].toSorted());
  assert.deepEqual(
    choose('hf:a/b-flax', [...orbax, 'tokenizer.model']),
    [...orbax, 'tokenizer.model'].toSorted(),
  );
  const atRoot = ['_METADATA', 'manifest.ocdbt', 'd/01', 'tokenizer.model'];
  assert.deepEqual(
    choose('hf:a/b-flax', [...atRoot, '.gitattributes', 'README.md', 'a.pdf']),
    atRoot.toSorted(),
  );
  const steps = ['3/_CHECKPOINT_METADATA', '3/default/_METADATA', '3/default/d/0'];
  assert.deepEqual(choose('hf:a/b', steps), steps);
});

test('several checkpoints: the error names them, and a path chooses', () => {
  const paths = ['2b/_METADATA', '2b/d/0', '2b-it/_METADATA', '2b-it/d/0', 'tokenizer.model'];
  assert.throws(() => choose('hf:a/b-flax@v1', paths), {
    name: 'InputError',
    message: 'hf:a/b-flax@v1 holds several checkpoints: 2b, 2b-it.',
    hint: 'Say which: hf:a/b-flax@v1/2b.',
  });
  assert.deepEqual(choose('hf:a/b-flax/2b', paths), ['2b/_METADATA', '2b/d/0', 'tokenizer.model']);
  assert.throws(() => choose('hf:a/b', ['2b.pt', '2b-it.pt']), { message: /2b\.pt, 2b-it\.pt/ });
  assert.deepEqual(choose('hf:a/b/2b.pt', ['2b.pt', '2b-it.pt', 'tokenizer.model']), [
    '2b.pt',
    'tokenizer.model',
  ]);
});

test('small files come from the folders on the way to the weights only', () => {
  const paths = [
    'config.json',
    'x/config.json',
    'x/y/model.safetensors',
    'x/y/tokenizer.json',
    'z/tokenizer.json',
    'chat_template.jinja',
  ];
  assert.deepEqual(choose('hf:a/b', paths), paths.filter((path) => !path.startsWith('z/')).toSorted());
});
