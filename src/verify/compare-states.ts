/** Is the state after a prompt the one that the reference has? */

import { InputError } from '../errors.js';
import { hasSlots, slotLimit, stateNames } from '../models/state-tensor.js';
import type { RowState } from '../runtime/batch-state.js';
import type { Engine } from '../runtime/engine.js';
import { largestDifference, Worst } from './differences.js';
import { logitRows } from './logit-rows.js';
import type { Reference, ReferenceState } from './reference-file.js';
import type { CheckList } from './report.js';

const TOLERANCE = 1e-4;

/** DeepMind's names of a layer's state (recurrentgemma/jax/modules.py), and ours. */
const OUR_NAMES: Readonly<Record<string, string>> = {
  rg_lru_state: 'recurrent_state',
  conv1d_state: 'conv_state',
  keys: 'key',
  values: 'value',
};

/** Compares recurrent states, convolution states and rings after every prompt that has them. */
export async function compareStates(
  engine: Engine,
  reference: Reference,
  checks: CheckList,
  signal: AbortSignal | undefined,
): Promise<void> {
  const worst = new Worst();
  let [prompts, tensors] = [0, 0];
  for (const { name, tokens, states } of reference.prompts) {
    if (states.length === 0) continue;
    for await (const _ of logitRows(engine, [{ tokens, positions: [] }], { signal }));
    const row = await engine.export(0);
    for (const state of states) {
      const difference = await compareTensor(engine, row, state, reference);
      worst.add(difference, `in ${name}, blocks.${state.layer}.${state.what}`);
      tensors++;
    }
    prompts++;
  }
  if (prompts === 0) return;
  const text = `${tensors} tensors after ${prompts} prompts`;
  checks.compare('states', worst.value, TOLERANCE, worst.describe(text));
}

/** The largest difference of one tensor; NaN where one side lacks what the other has. */
async function compareTensor(
  { folder }: Engine,
  row: RowState,
  state: ReferenceState,
  reference: Reference,
): Promise<number> {
  const { input } = stateNames(state.layer, OUR_NAMES[state.what]!);
  const tensor = folder.manifest.state.find((each) => each.input === input);
  const ours = row.tensors.get(input);
  const { shape, values } = await reference.read(state.tensor);
  if (!tensor || !ours) return Number.NaN;
  if (!hasSlots(tensor)) return largestDifference(ours, values);

  const window = slotLimit(tensor);
  const unit = ours.length / Math.min(row.numTokens, window);
  const slots = state.slotPositions ?? [];
  if (slots.length !== shape[0] || values.length !== slots.length * unit) {
    throw new InputError(
      `${reference.path}: "${state.tensor}" is not [slots, ${unit}] with a position for each slot.`,
    );
  }
  // Slot by slot, whatever the reference's window is, so that another one shows as positions that are missing.
  const seen = slots.filter((position) => position >= 0).length;
  if (seen !== Math.min(row.numTokens, window)) return Number.NaN;
  const differences = slots.map((position, slot) => {
    if (position < 0) return 0;
    const at = (position % window) * unit;
    const isKept = position < row.numTokens && position >= row.numTokens - window;
    const theirs = values.subarray(slot * unit, (slot + 1) * unit);
    return isKept ? largestDifference(ours.subarray(at, at + unit), theirs) : Number.NaN;
  });
  return Math.max(0, ...differences); // NaN where one is
}
