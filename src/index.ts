/** The library's public face. Index files only re-export. */

export { type AtomicWriter, atomicWriter } from './atomic-writer.js';
export { measureBandwidth } from './bench/bandwidth.js';
export type { Checkpoint, CheckpointFormat } from './checkpoint/checkpoint.js';
export { openCheckpoint } from './checkpoint/open.js';
export { type ConvertOptions, type ConvertReport, convert } from './convert/convert.js';
export { type ModelOptions, type OpenedModel, openModel, type RandomWeights } from './convert/open-model.js';
export {
  type ResolvedCheckpoint,
  type ResolveOptions,
  resolveCheckpoint,
} from './convert/resolve-checkpoint.js';
export * from './errors.js';
export type { DType, Shape } from './graph/dtype.js';
export type { LazyTensor } from './graph/lazy-tensor.js';
export { type InspectOptions, inspect } from './inspect/inspect.js';
export type { InspectReport, TokenizerSummary, WeightSummary } from './inspect/report.js';
export type { StateReport } from './inspect/state-sizes.js';
export {
  MANIFEST_FILE,
  type Manifest,
  type ModelFolder,
  type Quality,
  readModelFolder,
} from './manifest.js';
export { MODEL_FAMILIES } from './models/families.js';
export type { ModelFamily, PreparedModel, UntrainedModel } from './models/family.js';
export type { LogitsForm } from './models/logits-form.js';
export type { StoredForm } from './models/matrices/record.js';
export type { SourceLayout } from './models/source-layout.js';
export type { StateTensor } from './models/state-tensor.js';
export { type BatchOptions, type BatchSize, chooseBatch, LARGEST_AUTO_BATCH } from './runtime/batch-size.js';
export type { RowState } from './runtime/batch-state.js';
export type { Int8Products } from './runtime/cpu-probe.js';
export { type DeviceDetail, type DeviceInfo, type DeviceName, listDevices } from './runtime/devices.js';
export { Engine, type EngineOptions } from './runtime/engine.js';
export type { AskedRow, ForwardRequest, ForwardResult } from './runtime/forward.js';
export {
  type GenerateOptions,
  type GenerateRequest,
  generate,
  type RequestId,
  type ResultEvent,
  type Timing,
  type TokenEvent,
} from './runtime/generate.js';
export { type CpuInfo, describeHost, type HostInfo } from './runtime/host.js';
export { type JsonLine, type JsonLinesOptions, readJsonLines } from './runtime/json-lines.js';
export { type PerplexityOptions, type PerplexityResult, perplexity } from './runtime/perplexity.js';
export { type ReadAhead, readAhead } from './runtime/read-ahead.js';
export { readPrompts, readScoreRequests, resultLine, scoreLine } from './runtime/requests.js';
export { requireDevice } from './runtime/require-device.js';
export { type CallFacts, RunStats } from './runtime/run-stats.js';
export type { SamplingOptions } from './runtime/sampler.js';
export { loadState, type SavedState, savedTokens, saveState } from './runtime/saved-state.js';
export { type ScoreOptions, type ScoreRequest, type ScoreResult, score } from './runtime/score.js';
export { type Prompt, parseIds, TextModel } from './runtime/text-model.js';
export { type TextPerplexity, textPerplexity } from './runtime/text-perplexity.js';
export {
  type ChatMessage,
  type ChatOptions,
  chatStopIds,
  loadChatTemplate,
  renderChat,
} from './tokenizer/chat-template.js';
export { openTokenizer } from './tokenizer/open.js';
export { type StreamingDecoder, type TokenId, type Tokenizer, tokenId } from './tokenizer/tokenizer.js';
export {
  type MeasuredQuality,
  measureQuality,
  planQuality,
  type QualityPlan,
} from './verify/quality.js';
export type { VerifyCheck, VerifyReport } from './verify/report.js';
export { type VerifyOptions, verifyModel } from './verify/verify.js';
export { packageVersion } from './version.js';
