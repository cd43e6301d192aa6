// `npm start`: the main job on the model that ships with the repository, each command shown as it runs.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const model = 'models/factbook-griffin';

if (!existsSync(`${root}${model}/recgemma.json`)) {
  recgemma(
    'convert',
    'fixtures/factbook/griffin',
    '--out',
    model,
    '--model-config',
    'fixtures/factbook/griffin/model-config.json',
  );
}
recgemma(
  'sample',
  '-m',
  model,
  'Geography of Norway',
  ...'-n 140 -t 0.5 --top-p 0.9 --seed 3 --echo --stats'.split(' '),
);

console.log(`
Next, try:
  npx recgemma sample -m ${model} "Economy of Iceland" -t 0.7 --echo
  npx recgemma inspect ${model}
  npx recgemma --help
With a real checkpoint (accept its licence on huggingface.co and set HF_TOKEN first):
  npx recgemma convert hf:google/recurrentgemma-2b-it --out models/recurrentgemma-2b-it
  npx recgemma sample -m models/recurrentgemma-2b-it --chat "Why is the sky blue?"`);

/** Shows a command and runs it; ends with its exit code where it fails. */
function recgemma(...args) {
  const shown = args.map((arg) => (/^[\w./=-]+$/.test(arg) ? arg : JSON.stringify(arg)));
  console.log(`$ npx recgemma ${shown.join(' ')}`);
  const { status } = spawnSync(process.execPath, ['bin/run.js', ...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  console.log();
}
