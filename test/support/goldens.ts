/** Goldens for tests: expected outputs of the official implementations, and checkpoints converted once for each test file. */

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSafetensors } from '../../src/checkpoint/safetensors.js';
import { type ConvertOptions, convert } from '../../src/convert/convert.js';
import { collect } from '../../src/graph/transform.js';
import { Engine } from '../../src/runtime/engine.js';
import type { TokenId } from '../../src/tokenizer/tokenizer.js';

const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const SHARED = process.env.RECGEMMA_SHARED;

/** Why a test of the larger golden data is skipped. */
export const NOT_SHARED = SHARED === undefined ? 'RECGEMMA_SHARED is not set' : 'not under RECGEMMA_SHARED';

/** A path below `goldens/`, of the fixtures or else of the larger set; undefined where neither has it. */
export function goldenPath(path: string): string | undefined {
  const roots = SHARED === undefined ? [FIXTURES] : [FIXTURES, SHARED];
  return roots.map((root) => join(root, 'goldens', path)).find((each) => existsSync(each));
}

/** Why a test that needs this golden must be skipped, or false. */
export function missing(...paths: readonly string[]): string | false {
  return paths.every((path) => goldenPath(path) !== undefined) ? false : NOT_SHARED;
}

/** A greedy continuation of 32 tokens. */
export interface GoldenGreedy {
  readonly tokens: readonly TokenId[];
  readonly logprobs: readonly number[];
}

/** One prompt and what the model makes of it. */
export interface GoldenPrompt {
  readonly name: string;
  readonly tokens: readonly TokenId[];
  /** The tensor `[logit_positions, vocab]`. */
  readonly logits: string;
  readonly logit_positions: readonly number[];
  readonly greedy: GoldenGreedy;
  /** By `blocks.{i}.{what}`: a tensor's name, the position in each ring slot, or a count. */
  readonly state?: Readonly<Record<string, string | number | readonly number[]>>;
}

/** One file of expected outputs. */
export interface Golden {
  readonly prompts: readonly GoldenPrompt[];
  readonly ragged_batch: {
    readonly prompts: readonly (readonly TokenId[])[];
    readonly continuations: readonly GoldenGreedy[];
  };
  readonly loglikelihood: readonly {
    readonly context: readonly TokenId[];
    readonly continuation: readonly TokenId[];
    readonly sum: number;
    readonly token_logprobs: readonly number[];
    readonly is_greedy: boolean;
  }[];
  /** All tensors by name, float32. */
  readonly arrays: ReadonlyMap<string, Float32Array>;
}

/** Reads `expected/{name}.json` and its tensors. */
export async function loadGolden(name: string): Promise<Golden> {
  const json = JSON.parse(await readFile(goldenPath(`expected/${name}.json`)!, 'utf8'));
  const file = await openSafetensors(goldenPath(`expected/${name}.safetensors`)!);
  try {
    const arrays = new Map<string, Float32Array>();
    for (const [key, tensor] of file.tensors) {
      if (tensor.dtype === 'float32') arrays.set(key, new Float32Array((await collect(tensor)).buffer));
    }
    return { ...json, arrays };
  } finally {
    await file.close();
  }
}

/** A new empty folder that goes when the test file is done. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'recgemma-test-'));
  folders.push(folder);
  return folder;
}

/** What conversion must be told of a golden checkpoint beside its path: what Flax and PyTorch files do not hold. */
export function goldenOptions(
  checkpoint: string,
): Pick<ConvertOptions, 'modelConfig'> & { readonly checkpoint: string } {
  const [model] = checkpoint.split('/') as [string];
  // Folders of Hugging Face and state-spaces hold a config.json, and the example's file DeepMind's config; Gemma's Flax trees tell by their shapes all that there is.
  const speaks = /\/(hf|dmtorch-example|state-spaces)-|^gemma.*\/flax-/.test(checkpoint);
  return {
    checkpoint: goldenPath(`checkpoints/${checkpoint}`)!,
    ...(!speaks && { modelConfig: goldenPath(`configs/${model}.json`)! }),
  };
}

/** Converts `checkpoints/{checkpoint}`, such as `rg-tiny/hf-f32`, at the first call, and returns its model folder. */
export function convertGolden(
  checkpoint: string,
  options: Pick<ConvertOptions, 'attentionWindow' | 'logits' | 'precision'> = {},
): Promise<string> {
  return once(converted, JSON.stringify([checkpoint, options]), async () => {
    const out = join(await temporaryFolder(), 'model');
    await convert({ ...goldenOptions(checkpoint), ...options, out });
    return out;
  });
}

/** An engine with a model folder, loaded at the first call and closed when the test file is done. One thread: the models are tiny. */
export function loadEngine(folder: string): Promise<Engine> {
  return once(engines, folder, () => Engine.load(folder, { threads: 1 }));
}

/** {@link convertGolden}, loaded. */
export async function goldenEngine(
  checkpoint: string,
  options?: Parameters<typeof convertGolden>[1],
): Promise<Engine> {
  return loadEngine(await convertGolden(checkpoint, options));
}

const folders: string[] = [];
const converted = new Map<string, Promise<string>>();
const engines = new Map<string, Promise<Engine>>();

function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const made = known.get(key) ?? make();
  known.set(key, made);
  return made;
}

after(async () => {
  for (const engine of await Promise.allSettled(engines.values())) {
    if (engine.status === 'fulfilled') await engine.value.close();
  }
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});
