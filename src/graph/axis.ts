/** Axes of values inside a graph: numbers, or names of sizes known only at run time, with the little algebra they need. */

import { RecgemmaError } from '../errors.js';

/**
 * The size of one axis: a number, or a run-time size by name (`batch`, `time`), possibly with an offset (`time+3`), or a
 * product (`batch*time`).
 */
export type Axis = number | string;

/** A mistake in a model definition: an operator whose inputs do not fit, told with the place in the model. */
export class GraphError extends RecgemmaError {
  constructor(place: string, problem: string) {
    super('failed', `${place || 'graph'}: ${problem}`);
  }
}

/** `[batch, time, 40]`, as error messages print shapes. */
export function formatAxes(axes: readonly Axis[]): string {
  return `[${axes.join(', ')}]`;
}

const OFFSET = /^(.*)([+-]\d+)$/;

/** The axis that is `count` longer: `addToAxis('time', 3)` is `time+3`, and `addToAxis('time+3', -3)` is `time` again. */
export function addToAxis(axis: Axis, count: number): Axis {
  if (typeof axis === 'number') return axis + count;
  const match = OFFSET.exec(axis);
  const name = match?.[1] ?? axis;
  const offset = Number(match?.[2] ?? 0) + count;
  return offset === 0 ? name : `${name}${offset > 0 ? '+' : ''}${offset}`;
}

/** The axis that two concatenated axes make together. */
export function sumAxes(a: Axis, b: Axis): Axis {
  if (typeof b === 'number') return addToAxis(a, b);
  return typeof a === 'number' ? addToAxis(b, a) : `${a}+${b}`;
}

/** The axis that merged axes make: `multiplyAxes(['batch', 'time', 5])` is `5*batch*time`. */
export function multiplyAxes(axes: readonly Axis[]): Axis {
  const { count, names } = factors(axes);
  if (names.length === 0) return count;
  return count === 1 ? names.join('*') : `${count}*${names.join('*')}`;
}

/** Whether two lists of axes hold the same number of elements, as far as names can tell. */
export function sameElementCount(a: readonly Axis[], b: readonly Axis[]): boolean {
  return multiplyAxes(a) === multiplyAxes(b);
}

function factors(axes: readonly Axis[]): { count: number; names: string[] } {
  let count = 1;
  const names: string[] = [];
  for (const part of axes.flatMap((axis) => String(axis).split('*'))) {
    if (Number.isNaN(Number(part))) names.push(part);
    else count *= Number(part);
  }
  return { count, names: names.sort() };
}

/** NumPy's broadcasting of two shapes, or undefined where they do not fit. */
export function broadcastAxes(a: readonly Axis[], b: readonly Axis[]): Axis[] | undefined {
  const rank = Math.max(a.length, b.length);
  const result: Axis[] = [];
  for (let i = 0; i < rank; i++) {
    const left = a[a.length - rank + i] ?? 1;
    const right = b[b.length - rank + i] ?? 1;
    if (left !== right && left !== 1 && right !== 1) return undefined;
    result.push(left === 1 ? right : left);
  }
  return result;
}
