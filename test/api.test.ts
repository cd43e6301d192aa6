/** The library's public names: a change of one is a change for everybody who imports it, and is seen here. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import * as library from '../src/index.js';

const VALUES = [
  'CheckError',
  'Engine',
  'InputError',
  'InterruptedError',
  'LARGEST_AUTO_BATCH',
  'MANIFEST_FILE',
  'MODEL_FAMILIES',
  'RecgemmaError',
  'RunStats',
  'TextModel',
  'UnavailableError',
  'UsageError',
  'atomicWriter',
  'chatStopIds',
  'chooseBatch',
  'convert',
  'describeHost',
  'generate',
  'inspect',
  'listDevices',
  'loadChatTemplate',
  'loadState',
  'measureBandwidth',
  'measureQuality',
  'openCheckpoint',
  'openModel',
  'openTokenizer',
  'packageVersion',
  'parseIds',
  'perplexity',
  'planQuality',
  'readAhead',
  'readJsonLines',
  'readModelFolder',
  'readPrompts',
  'readScoreRequests',
  'renderChat',
  'requireDevice',
  'resolveCheckpoint',
  'resultLine',
  'saveState',
  'savedTokens',
  'score',
  'scoreLine',
  'textPerplexity',
  'tokenId',
  'verifyModel',
];

const TYPES = [
  'AskedRow',
  'AtomicWriter',
  'BatchOptions',
  'BatchSize',
  'CallFacts',
  'ChatMessage',
  'ChatOptions',
  'Checkpoint',
  'CheckpointFormat',
  'ConvertOptions',
  'ConvertReport',
  'CpuInfo',
  'DType',
  'DeviceDetail',
  'DeviceInfo',
  'DeviceName',
  'EngineOptions',
  'ErrorCode',
  'ErrorContext',
  'ForwardRequest',
  'ForwardResult',
  'GenerateOptions',
  'GenerateRequest',
  'HostInfo',
  'InspectOptions',
  'InspectReport',
  'Int8Products',
  'JsonLine',
  'JsonLinesOptions',
  'LazyTensor',
  'LogitsForm',
  'Manifest',
  'MeasuredQuality',
  'ModelFamily',
  'ModelFolder',
  'ModelOptions',
  'OpenedModel',
  'PerplexityOptions',
  'PerplexityResult',
  'PreparedModel',
  'Prompt',
  'Quality',
  'QualityPlan',
  'RandomWeights',
  'ReadAhead',
  'RequestId',
  'ResolveOptions',
  'ResolvedCheckpoint',
  'ResultEvent',
  'RowState',
  'SamplingOptions',
  'SavedState',
  'ScoreOptions',
  'ScoreRequest',
  'ScoreResult',
  'Shape',
  'SourceLayout',
  'StateReport',
  'StateTensor',
  'StoredForm',
  'StreamingDecoder',
  'TextPerplexity',
  'Timing',
  'TokenEvent',
  'TokenId',
  'Tokenizer',
  'TokenizerSummary',
  'UntrainedModel',
  'VerifyCheck',
  'VerifyOptions',
  'VerifyReport',
  'WeightSummary',
];

const source = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

/** Names that one of the index file's lists exports, and those that a file which it exports whole declares. */
function exportedNames(): string[] {
  const index = source('../src/index.ts');
  const lists = [...index.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) =>
    list!.split(','),
  );
  const listed = lists.map((name) => name.replace(/^\s*type /, '').trim()).filter((name) => name !== '');
  const whole = [...index.matchAll(/^export \* from '(.*)\.js'/gm)].map(([, file]) =>
    source(`../src/${file}.ts`),
  );
  const declared = whole.flatMap((text) =>
    [...text.matchAll(/^export \w+ (\w+)/gm)].map(([, name]) => name!),
  );
  return [...listed, ...declared];
}

it('exports exactly these values', () => {
  assert.deepEqual(Object.keys(library).sort(), VALUES);
});

it('exports exactly these types', () => {
  const types = exportedNames().filter((name) => !Object.hasOwn(library, name));
  assert.deepEqual(types.sort(), TYPES);
});
