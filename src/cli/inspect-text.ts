/** What `recgemma inspect` found, as tables for people. */

import { formatBytes } from '../bytes.js';
import type { InspectReport, StateReport, StoredForm } from '../index.js';
import { formatQuality } from './format.js';
import type { Cell } from './table.js';

type Rows = (readonly Cell[])[];

/** Lays rows out under a header. */
type Table = (header: readonly string[], rows: Rows) => string;

/** The whole report: one table for each question that it answers. */
export function describeReport(report: InspectReport, table: Table): string {
  const { kind, path, config, missing, state, files, tensors, matrices } = report;
  const sections = [table([kind.toUpperCase(), path], describeWhat(report))];
  if (config) sections.push(table(['CONFIG', ''], describeConfig(config, missing)));
  if (state) {
    sections.push(table(['STATE', 'KIND', 'SHAPE', 'BYTES'], describeState(state)));
    sections.push(describeMemory(state, table));
  }
  if (files.length > 0) sections.push(table(['FILE', 'BYTES'], describeFiles(files)));
  if (tensors) {
    const rows = tensors.map(({ name, dtype, shape, bytes }) => [
      name,
      dtype,
      `[${shape.join(', ')}]`,
      bytes,
    ]);
    sections.push(table(['TENSOR', 'DTYPE', 'SHAPE', 'BYTES'], rows));
  }
  if (matrices && matrices.length > 0) {
    const rows = matrices.map(({ path, form, error }) => [path, describeForm(form), formatError(error)]);
    sections.push(table(['MATRIX', 'STORED AS', 'ERROR'], rows));
  }
  return sections.join('\n\n');
}

/** Several models side by side: their weights, and their state for each context length. */
export function compareReports(reports: readonly InspectReport[], table: Table): string {
  const sizes = reports.find(({ state }) => state)?.state?.sizes ?? [];
  const batch = sizes[0]?.batch ?? 1;
  const header = [
    'MODEL',
    'FAMILY',
    'PARAMETERS',
    'WEIGHTS',
    ...sizes.map(({ context }) => `STATE AT ${context}`),
  ];
  const rows = reports.map(({ path, family, parameters, weights, state }) => [
    path,
    family ?? '',
    parameters,
    formatBytes(weights.reduce((sum, { bytes }) => sum + bytes, 0)),
    ...(state?.sizes ?? []).map(({ state_bytes: bytes }) => formatBytes(bytes)),
  ]);
  const what = batch === 1 ? 'one sequence' : `${batch} sequences`;
  return `${table(header, rows)}\nSTATE is what ${what} of so many tokens ${batch === 1 ? 'takes' : 'take'} beside the weights.`;
}

/** What the thing is: one fact a row. */
function describeWhat(report: InspectReport): Rows {
  const { format, layout, hub, family, parameters, model, weights, tokenizer } = report;
  const names = layout === null ? '' : `, tensors named as in ${LAYOUTS[layout] ?? layout}`;
  const source = { model: 'made from', checkpoint: 'format', preset: 'precision' }[report.kind];
  const rows: Rows = [[source, `${format}${names}`]];
  if (hub) rows.push(['hub', `${hub.repository} at ${hub.commit.slice(0, 12)}`]);
  rows.push(['family', family ?? 'not one that can be converted']);
  if (model) {
    const { precision, block_size: block, device, logits, opset, tool_version: version } = model;
    const blocks = block === null ? '' : ` in blocks of ${block}`;
    rows.push(['precision', `${precision}${blocks}, for ${device}`]);
    if (model.quality) rows.push(['quality', formatQuality(model.quality)]);
    for (const { form, count, worst_error: error, worst_path: path } of model.matrices) {
      rows.push([
        'matrices',
        `${count} of ${describeForm(form)}, off by ${formatError(error)} at most (${path})`,
      ]);
    }
    rows.push(['graph', `logits ${logits}, opset ${opset}, by recgemma ${version}`]);
  }
  rows.push(['parameters', parameters.toLocaleString('en')]);
  for (const { dtype, tensors, bytes } of weights) {
    rows.push(['weights', `${tensors} tensors of ${dtype}, ${formatBytes(bytes)}`]);
  }
  if (report.kind === 'preset') return rows;
  rows.push(['tokenizer', tokenizer ? describeTokenizer(tokenizer) : 'none found: token ids only']);
  return rows;
}

/** How a quantized matrix is stored. */
function describeForm(form: StoredForm): string {
  if (form.kind === 'blocks') return `${form.bits} bits in blocks of ${form.blockSize}`;
  return form.groups === 1 ? '8 bits in columns' : `8 bits in columns of ${form.groups} groups`;
}

/** A relative error: `0.75 %`. */
function formatError(error: number): string {
  return `${(100 * error).toFixed(2)} %`;
}

const LAYOUTS: Readonly<Record<string, string>> = {
  flax: "DeepMind's JAX code (flax)",
  torch: "DeepMind's PyTorch code (torch)",
  hf: 'Hugging Face transformers (hf)',
};

function describeTokenizer(tokenizer: NonNullable<InspectReport['tokenizer']>): string {
  const { kind, vocab_size: size, bos_id: bos, eos_ids: eos } = tokenizer;
  const ends = eos.length === 0 ? 'no EOS' : `EOS ${eos.join(', ')}`;
  return `${kind}, ${size.toLocaleString('en')} pieces, ${bos === null ? 'no BOS' : `BOS ${bos}`}, ${ends}`;
}

/** The config, one field a row; a list of block types as their pattern. */
function describeConfig(config: Readonly<Record<string, unknown>>, missing: readonly string[]): Rows {
  const known = Object.entries(config).map(([field, value]) => [field, formatValue(value)]);
  return [...known, ...missing.map((field) => [field, 'not known'])];
}

/** A value as people write it; a list with its length, and only once what it repeats. */
function formatValue(value: unknown): string {
  if (!Array.isArray(value)) return typeof value === 'object' ? JSON.stringify(value) : String(value);
  const length = value.length;
  const period = [1, 2, 3, 4].find((size) => value.every((item, i) => item === value[i % size]));
  if (period === undefined) return `${length}: ${value.join(', ')}`;
  const pattern = value.slice(0, period).join(', ');
  return length > period ? `${length}: ${pattern}, and so on` : `${length}: ${pattern}`;
}

/** The state tensors, those of one kind and shape in one row. */
function describeState({ tensors, bytes_per_sequence: total }: StateReport): Rows {
  const groups = new Map<
    string,
    { name: string; kind: string; shape: string; count: number; bytes: number }
  >();
  for (const { input, kind, shape, axes, bytes_per_sequence: bytes } of tensors) {
    const name = input.split('.').at(-1) ?? input;
    const text = shape.map((size, i) => `${axes[i] ?? ''} ${size}`.trim()).join(', ');
    const key = `${name} ${kind} ${text}`;
    const group = groups.get(key) ?? { name, kind, shape: text, count: 0, bytes: 0 };
    group.count++;
    group.bytes += bytes;
    groups.set(key, group);
  }
  const rows = [...groups.values()].map(({ name, kind, shape, count, bytes }) => [
    `${count} x ${name}`,
    kind,
    `[${shape}]`,
    formatBytes(bytes),
  ]);
  const grows = tensors.some(({ kind }) => kind === 'cache');
  return [
    ...rows,
    [
      'a sequence',
      '',
      '',
      grows ? `${formatBytes(total)}, and more beyond` : `${formatBytes(total)} at most`,
    ],
  ];
}

/** The memory for each context length, and what it is compared with. */
function describeMemory({ sizes, compared_with: transformer }: StateReport, table: Table): string {
  const header = ['CONTEXT', 'SEQUENCES', 'STATE', ...(transformer ? ['TRANSFORMER', 'RATIO'] : [])];
  const rows = sizes.map(({ context, batch, state_bytes: state, transformer_bytes: cache, ratio }) => [
    context,
    batch,
    formatBytes(state),
    ...(cache === null || ratio === null ? [] : [formatBytes(cache), `${ratio.toFixed(1)} x`]),
  ]);
  if (!transformer) return table(header, rows);
  const { layers, kv_heads: heads, head_dim: dim, dtype } = transformer;
  const what = `TRANSFORMER is the key-value cache, also in ${dtype}, of one as large: ${layers} layers that attend to everything by ${heads} key-value head of ${dim}.`;
  return `${table(header, rows)}\n${what}`;
}

/** Orbax writes dozens; the JSON has all. */
const MAX_FILES = 12;

/** The files, the largest of many. */
function describeFiles(files: InspectReport['files']): Rows {
  const bySize = [...files].sort((a, b) => b.bytes - a.bytes);
  const [shown, rest] =
    files.length <= MAX_FILES ? [files, []] : [bySize.slice(0, MAX_FILES), bySize.slice(MAX_FILES)];
  const rows = shown.map(({ name, bytes }) => [name, formatBytes(bytes)]);
  if (rest.length === 0) return rows;
  return [...rows, [`and ${rest.length} more`, formatBytes(rest.reduce((sum, { bytes }) => sum + bytes, 0))]];
}
