// Bundles the command line and oclif into dist/cli.js: one file loads in half the time of oclif's 159.
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const library = resolve(root, 'src/index.ts');

/** Keeps the library (`import('../index.js')` inside a command) out of the bundle: it is loaded when a command runs. */
const externalLibrary = {
  name: 'external-library',
  setup({ onResolve }) {
    onResolve({ filter: /(^|\/)index\.js$/ }, ({ path, resolveDir }) =>
      resolve(resolveDir, path).replace(/\.js$/, '.ts') === library
        ? { path: './index.js', external: true }
        : undefined,
    );
  },
};

await build({
  absWorkingDir: root,
  entryPoints: ['src/cli/main.ts'],
  outfile: 'dist/cli.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // oclif is CommonJS and calls require() on Node's own modules.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  // oclif looks for the first two only when it runs TypeScript sources; ora and cli-progress are loaded when first used.
  external: ['typescript', 'ts-node', 'onnxruntime-node', 'ora', 'cli-progress'],
  plugins: [externalLibrary],
  logLevel: 'warning',
});

// What tsc made of the same sources is now inside the bundle.
for (const folder of ['dist/cli', 'dist/commands']) {
  await rm(resolve(root, folder), { recursive: true, force: true });
}
