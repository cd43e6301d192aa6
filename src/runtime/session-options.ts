/** onnxruntime's options for a model, and why each is as it is. */

import type { InferenceSession } from 'onnxruntime-node';
import type { Precision } from '../quantize/precision.js';
import { type Int8Products, int8Options } from './cpu-probe.js';

/** What decides the options. */
export interface SessionPlan {
  readonly threads: number;
  /** Whether weights are laid out anew for quick products; else they stay where they are mapped. */
  readonly packWeights: boolean;
  readonly int8Products: Int8Products;
}

/** What decides whether weights are packed. */
export interface Packing {
  readonly precision: Precision;
  /** Bytes of the model's files. */
  readonly bytes: number;
  /** Rows that run together. */
  readonly batch: number;
}

/** Batches of floats from this size on are worth packing the weights for, which doubles their memory while loading. */
const PACKED_BATCH = 4;
/** Models below this size are always packed: it costs next to nothing. */
const PACKED_BYTES = 2 ** 30;

/**
 * Whether to pack. Unpacked float32 loads in no time and takes half the memory, but products of many rows take up to twice as long (M = 4: 67 and 34 ms).
 * Quantized weights are always packed: unpacked, a step takes 2.3 times as long in int8, and 180 times in int4.
 */
export function packsWeights({ precision, bytes, batch }: Packing): boolean {
  return precision === 'int8' || precision === 'int4' || bytes <= PACKED_BYTES || batch >= PACKED_BATCH;
}

/**
 * The options of a session on the CPU. Tried, and left at onnxruntime's defaults because nothing changed by more than the noise of 2 %: `dynamic_block_base`,
 * `set_denormal_as_zero`, `spin_duration_us`, memory patterns, the arena, and `use_device_allocator_for_initializers`. Parallel execution takes twice as long.
 */
export function sessionOptions(
  plan: SessionPlan,
  env: NodeJS.ProcessEnv = process.env,
): InferenceSession.SessionOptions {
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    // onnxruntime's log goes past the console to stderr; what it says of an error is in the error too.
    logSeverityLevel: 4,
    intraOpNumThreads: plan.threads,
    extra: {
      session: {
        ...int8Options(plan.int8Products),
        disable_prepacking: plan.packWeights ? '0' : '1',
        // Spinning threads gain 4 % on an idle machine and slow everyone down on a shared one, which CI usually is.
        intra_op: { allow_spinning: env.CI ? '0' : '1' },
      },
    },
  };
}

/** `options` for a session that writes its graph and its weights, packed as well as not, as `graphFile` and beside it `dataFile`. */
export function savingPacked(
  options: InferenceSession.SessionOptions,
  graphFile: string,
  dataFile: string,
): InferenceSession.SessionOptions {
  const session = options.extra?.session as Readonly<Record<string, unknown>>;
  return {
    ...options,
    optimizedModelFilePath: graphFile,
    extra: {
      ...options.extra,
      session: {
        ...session,
        save_external_prepacked_constant_initializers: '1',
        optimized_model_external_initializers_file_name: dataFile,
      },
    },
  };
}
