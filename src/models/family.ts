/** What a family of models must offer so that everything else can convert, run and describe it without knowing it. */

import type { Shape } from '../graph/dtype.js';
import type { LazyTensor } from '../graph/lazy-tensor.js';
import type { Scope } from '../graph/scope.js';
import type { Distribution } from './initial-weights.js';
import type { KeyValuePrecision } from './layers/key-values.js';
import type { LogitsForm } from './logits-form.js';
import type { TiedCopy } from './renaming.js';
import type { SourceLayout } from './source-layout.js';
import type { StateTensor } from './state-tensor.js';

/** What is known of a checkpoint besides its tensors. */
export interface ConfigInputs {
  /** Hugging Face's `config.json`, parsed, where there is one. */
  readonly huggingFace?:
    | { readonly path: string; readonly json: Readonly<Record<string, unknown>> }
    | undefined;
  /** A `--model-config` file, parsed. */
  readonly modelConfig?:
    | { readonly path: string; readonly json: Readonly<Record<string, unknown>> }
    | undefined;
  readonly preset?: string | undefined;
  readonly attentionWindow?: number | undefined;
}

/** What the user chooses of a graph besides its precision. */
export interface BuildOptions {
  readonly logits: LogitsForm;
  readonly keyValues: KeyValuePrecision;
}

/** A model of which everything but the weights' bytes is known. */
export interface PreparedModel {
  readonly family: string;
  /** The configuration in the family's own published field names. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Hugging Face's `config.json`, so that other tools know the model. */
  readonly huggingFaceConfig: Readonly<Record<string, unknown>>;
  readonly vocabSize: number;
  /** Heads of queries in an attention layer; 0 where there is none. */
  readonly queryHeads: number;
  /** The state that one sequence carries. */
  state(keyValues: KeyValuePrecision): readonly StateTensor[];
  /** What the user should know of how the config came about. */
  readonly notes: readonly string[];
  /** The weights under the names that {@link PreparedModel.build} asks for. */
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** The checkpoint's own name of a weight, for messages. */
  readonly sourceName: (path: string) => string;
  /** Stored copies that must equal the weight at `path`, because the model has only one. */
  readonly tied: readonly TiedCopy[];
  /** Builds the model into the scope's graph. */
  build(m: Scope, options: BuildOptions): void;
}

/** A model that has no weights yet. */
export interface UntrainedModel {
  /** Builds the model into the scope's graph; the weights that it asks for are the ones that it has. */
  build(m: Scope): void;
  /** How the weight at `path` is distributed before training. */
  initial(path: string, shape: Shape): Distribution;
  /** The model with these weights, under the names that it asks for. */
  prepare(tensors: ReadonlyMap<string, LazyTensor>): PreparedModel;
}

/** One family of models. */
export interface ModelFamily {
  readonly name: string;
  /** Names that `--preset` takes. */
  readonly presets: readonly string[];
  /** Whose names the tensors have, or undefined where they are not this family's. */
  detectLayout(names: Iterable<string>): SourceLayout | undefined;
  /**
   * Renames the tensors and settles the config.
   * @throws InputError where sources contradict each other, UsageError where something is left unsaid.
   */
  prepare(
    layout: SourceLayout,
    tensors: ReadonlyMap<string, LazyTensor>,
    inputs: ConfigInputs,
  ): PreparedModel;
  /**
   * The model that a preset, with or without a `--model-config`, describes.
   * @throws InputError, UsageError as {@link ModelFamily.prepare} does.
   */
  untrained(inputs: ConfigInputs): UntrainedModel;
}
