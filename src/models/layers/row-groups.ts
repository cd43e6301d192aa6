/** Rows in whole groups, as some forms of matrices want them: see {@link MatrixForm.rowGroup}. */

import type { Axis } from '../../graph/axis.js';
import type { Value } from '../../graph/graph.js';
import type { Scope } from '../../graph/scope.js';

/** `x` `[rows, …]` and its first rows again, until they fill the groups of the model's matrices: `[axis, …]`. */
export function fillGroups(m: Scope, x: Value, axis: string): Value {
  const { rowGroup } = m.matrices;
  const [rows, ...rest] = x.axes as [string, ...Axis[]];
  if (rowGroup === 1) return m.graph.measured({ ...x, axes: [axis, ...rest] });
  const missing = m.mod(m.sub(0, m.graph.size(rows)), rowGroup);
  const again = m.operator('Slice', [x, m.integers([0]), missing, m.integers([0])], x.dtype, [
    'missing',
    ...rest,
  ]);
  return m.graph.measured(m.operator('Concat', [x, again], x.dtype, [axis, ...rest], { axis: 0 }));
}

/** As many of the first rows of `x` as the axis so named is long. */
export function takeRows(m: Scope, x: Value, axis: string): Value {
  const rest = x.axes.slice(1);
  if (m.matrices.rowGroup === 1) return { ...x, axes: [axis, ...rest] };
  const range = [m.integers([0]), m.graph.size(axis), m.integers([0])];
  return m.operator('Slice', [x, ...range], x.dtype, [axis, ...rest]);
}
