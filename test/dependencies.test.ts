/** Which part of the source may know which: dependencies point one way (docs/architecture.md). */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/**
 * Each part, and what it may import beside itself and `errors`. `type:` allows types only. The commands see the library as its
 * users do, through `index`.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  'atomic-writer': [],
  bytes: [],
  'cache-folder': [],
  'disk-room': ['bytes'],
  version: [],
  graph: [],
  quantize: ['graph'],
  tokenizer: [],
  sum: [],
  hub: ['bytes', 'disk-room', 'sum'],
  checkpoint: ['atomic-writer', 'graph'],
  models: ['graph', 'quantize'],
  manifest: ['type:models', 'models/state-tensor', 'quantize'],
  runtime: [
    'bytes',
    'cache-folder',
    'disk-room',
    'type:quantize',
    'checkpoint/safetensors',
    'checkpoint/safetensors-writer',
    'graph',
    'manifest',
    'type:models',
    'models/state-tensor',
    'sum',
    'tokenizer',
  ],
  convert: [
    'checkpoint',
    'disk-room',
    'graph',
    'hub',
    'manifest',
    'models',
    'quantize',
    'runtime/random',
    'tokenizer',
    'version',
  ],
  inspect: [
    'checkpoint',
    'convert',
    'graph',
    'manifest',
    'models',
    'quantize/precision',
    'runtime',
    'tokenizer',
    'version',
  ],
  verify: [
    'atomic-writer',
    'bytes',
    'checkpoint',
    'convert',
    'disk-room',
    'graph',
    'manifest',
    'models',
    'quantize',
    'runtime',
    'tokenizer',
  ],
  bench: [],
  index: [
    'atomic-writer',
    'bench',
    'checkpoint',
    'convert',
    'graph',
    'inspect',
    'manifest',
    'models',
    'runtime',
    'tokenizer',
    'verify',
    'version',
  ],
  commands: ['bytes', 'cli', 'index'],
  cli: ['bytes', 'commands', 'index', 'version'],
};

/** Packages that take long to load; starting the command and importing the library must not. */
const LAZY = ['onnxruntime-node', 'ora', 'cli-progress', 'yauzl', 'zstddec', '@huggingface/hub'];

interface Import {
  /** Below src/, without its extension. */
  readonly from: string;
  /** A package, or a file below src/ without its extension. */
  readonly to: string;
  readonly kind: 'value' | 'type' | 'dynamic';
}

const STATEMENT = /^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;
const DYNAMIC = /\bimport\('([^']+)'\)/g;

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  const from = withoutExtension(file.split(sep).join('/'));
  const target = (to: string) =>
    to.startsWith('.') ? withoutExtension(posix.normalize(posix.join(posix.dirname(from), to))) : to;
  return [
    ...[...text.matchAll(STATEMENT)].map(
      ([, type, to]): Import => ({
        from,
        to: target(to!),
        kind: type ? 'type' : 'value',
      }),
    ),
    ...[...text.matchAll(DYNAMIC)].map(([, to]): Import => ({ from, to: target(to!), kind: 'dynamic' })),
  ];
}

function withoutExtension(path: string): string {
  return path.replace(/\.[jt]s$/, '');
}

const part = (file: string) => file.split('/')[0]!;

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const imports = files.flatMap(importsOf);
const own = imports.filter(({ to }) =>
  files.some((file) => withoutExtension(file.split(sep).join('/')) === to),
);

describe('dependencies', () => {
  it('are found', () => {
    assert.ok(files.length > 100 && own.length > 300, `${files.length} files with ${own.length} imports`);
    const relative = imports.filter(
      ({ to }) => dirname(to) !== '.' && /^(\.|[a-z]+\/)/.test(to) && part(to) in ALLOWED,
    );
    assert.deepEqual(
      relative.filter((each) => !own.includes(each)),
      [],
      'imports of files that are not there',
    );
  });

  it('point one way', () => {
    const wrong = own.filter(({ from, to, kind }) => {
      const allowed = ALLOWED[part(from)];
      if (part(from) === part(to) || part(to) === 'errors') return false;
      const named = allowed?.some((each) => each === to || each === part(to));
      return !named && !(kind === 'type' && allowed?.includes(`type:${part(to)}`));
    });
    assert.deepEqual(wrong, []);
  });

  it('on slow packages wait until these are needed', () => {
    const loaded = new Set(['index', 'cli/main']);
    for (const file of loaded) {
      for (const { from, to, kind } of imports) if (from === file && kind === 'value') loaded.add(to);
    }
    assert.ok(loaded.size > 50, `${loaded.size} modules`);
    assert.deepEqual(
      LAZY.filter((name) => loaded.has(name)),
      [],
    );
  });
});
