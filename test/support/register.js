// Preloaded by the test runner: runs TypeScript through tsx, in worker threads too, which tsx itself does not reach on Node 20.

import { existsSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import 'tsx';

const threads = createRequire(import.meta.url)('node:worker_threads');
const { Worker } = threads;

threads.Worker = class extends Worker {
  constructor(url, options) {
    const source = String(url).replace(/\.js$/, '.ts');
    if (!(url instanceof URL) || !existsSync(fileURLToPath(source))) {
      super(url, options);
      return;
    }
    const code = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(source)})))`;
    super(code, { ...options, eval: true });
  }
};
syncBuiltinESMExports();
