/** Splits the outputs of a run by the items whose rows were stacked for it. Shared by the server and the workers. */
import type { TensorData } from './datatypes.js';

/** An output does not have one row per input row. */
export class BatchSplitError extends Error {}

/**
 * Splits the outputs of a run into those of each row; `counts` are the rows of each input. With one input, returns the
 * outputs unchanged.
 *
 * @throws BatchSplitError if an output does not have one row per input row
 */
export function split(outputs: readonly TensorData[], counts: readonly number[]): TensorData[][] {
  if (counts.length === 1) return [[...outputs]];
  const total = counts.reduce((sum, count) => sum + count, 0);
  const unequal = outputs.find(({ shape }) => shape[0] !== total);
  if (unequal)
    throw new BatchSplitError(`output "${unequal.name}" has ${unequal.shape[0] ?? 'no'} rows for ${total} input rows`);
  let start = 0;
  return counts.map((count) => {
    const from = start;
    start += count;
    return outputs.map((output) => sliceRows(output, from, count));
  });
}

function sliceRows({ name, datatype, shape, data }: TensorData, from: number, count: number): TensorData {
  const perRow = shape.slice(1).reduce((product, size) => product * size, 1);
  return {
    name,
    datatype,
    shape: [count, ...shape.slice(1)],
    data: data.slice(from * perRow, (from + count) * perRow),
  };
}
