/** Which files of a repository make a checkpoint: one set of weights, its configuration and its tokenizer. */

import { posix } from 'node:path';
import { InputError } from '../errors.js';
import { formatHubReference, type HubReference } from './reference.js';
import { folderOf, foldersAbove } from './repository-path.js';
import { type Weights, weightSets } from './weight-sets.js';

/** Configuration and tokenizer files: small, and wanted from each folder on the way to the weights. */
const SMALL =
  /^(config\.json|generation_config\.json|model-config\.json|special_tokens_map\.json|tokenizer.*|chat_template.*)$/;

/** Weights that a user may name by themselves. */
const SINGLE_FILE = /\.(safetensors|bin|pth?)$/;

/** No checkpoint has so many: Orbax without OCDBT makes a file for each array and shard, 695 in the largest we know. */
const MAX_CHOSEN = 20_000;

/** How many places an error about several checkpoints names. */
const MAX_NAMED = 6;

/**
 * Chooses from a repository's paths what a conversion needs, the small files first. Safetensors go before
 * `pytorch_model.bin`, then `.pt`, then Orbax; in a repository whose name ends with `-flax`, Orbax goes first. GGUF
 * never: it holds quantized weights. A folder's own weights go before those of the folders below it.
 *
 * @throws InputError where there are no weights that we read, or several and the reference does not say which.
 */
export function chooseFiles(paths: readonly string[], reference: HubReference): string[] {
  const weights = chooseWeights(paths, reference);
  const folders = [weights.folder, ...foldersAbove(weights.folder)];
  const small = paths.filter((path) => SMALL.test(posix.basename(path)) && folders.includes(folderOf(path)));
  const chosen = [...new Set([...small, ...weights.files])];
  if (chosen.length > MAX_CHOSEN) {
    throw new InputError(
      `${formatHubReference(reference)} has ${chosen.length} files: more than any checkpoint.`,
    );
  }
  return chosen;
}

function chooseWeights(paths: readonly string[], reference: HubReference): Weights {
  const { path, repository } = reference;
  if (paths.includes(path)) {
    if (!SINGLE_FILE.test(path)) throw unusable([path], reference);
    return { folder: folderOf(path), place: path, files: [path] };
  }
  const inside = path === '' ? paths : paths.filter((candidate) => candidate.startsWith(`${path}/`));
  const { safetensors, bin, torch, orbax } = weightSets(inside);
  const order = repository.endsWith('-flax')
    ? [orbax, safetensors, bin, torch]
    : [safetensors, bin, torch, orbax];

  const own = order.map((sets) => sets.filter(({ folder }) => folder === path));
  const best = [...own, ...order].find((sets) => sets.length > 0);
  if (!best) throw unusable(inside, reference);
  if (best.length > 1) throw ambiguous(best, reference);
  return best[0]!;
}

function unusable(inside: readonly string[], reference: HubReference): InputError {
  const name = formatHubReference(reference);
  if (inside.length === 0) {
    return new InputError(
      reference.path === '' ? `${name} is empty.` : `${reference.repository} has no ${reference.path}.`,
      {
        hint: `It may have that in another revision than ${reference.revision}.`,
      },
    );
  }
  if (inside.some((path) => path.endsWith('.gguf'))) {
    return new InputError(
      `${name} holds GGUF files only; their weights are quantized already, and are not read.`,
      {
        hint: 'Use the repository they were made from.',
      },
    );
  }
  return new InputError(
    `${name} holds no safetensors, PyTorch or Orbax weights among its ${inside.length} files.`,
  );
}

function ambiguous(sets: readonly Weights[], reference: HubReference): InputError {
  const places = sets.map(({ place }) => place);
  const named = places.slice(0, MAX_NAMED).join(', ');
  const rest = places.length > MAX_NAMED ? ` and ${places.length - MAX_NAMED} more` : '';
  return new InputError(`${formatHubReference(reference)} holds several checkpoints: ${named}${rest}.`, {
    hint: `Say which: ${formatHubReference({ ...reference, path: places[0]! })}.`,
    details: { places },
  });
}
