/** Grouping rows into runs, stacking them, and splitting the outputs. */

import type { TensorData } from '#src/tasks/datatypes.js';
import { BatchSplitError, split } from '#src/tasks/stacking.js';
import { formRuns, stack } from '#src/worker/batch.js';

const floats = (name: string, shape: number[], ...data: number[]): TensorData => ({
  name,
  datatype: 'FP32',
  shape,
  data: Float32Array.from(data),
});

test('stacks the rows of all items in order', () => {
  const [x] = stack([[floats('x', [1, 2], 1, 2)], [floats('x', [2, 2], 3, 4, 5, 6)]]);

  expect(x).toEqual(floats('x', [3, 2], 1, 2, 3, 4, 5, 6));
});

test('stacks strings like numbers', () => {
  const text = (value: string): TensorData => ({ name: 't', datatype: 'BYTES', shape: [1, 1], data: [value] });

  expect(stack([[text('a')], [text('b')]])[0]).toEqual({
    name: 't',
    datatype: 'BYTES',
    shape: [2, 1],
    data: ['a', 'b'],
  });
});

test('splits an output into the rows of each item', () => {
  const parts = split([floats('y', [3, 1], 10, 20, 30)], [1, 2]);

  expect(parts).toEqual([[floats('y', [1, 1], 10)], [floats('y', [2, 1], 20, 30)]]);
});

test('refuses to split an output that does not have one row per input row', () => {
  expect(() => split([floats('y', [1, 1], 10)], [1, 1])).toThrow(BatchSplitError);
});

test('items of different shapes do not share a run', () => {
  const items = [[floats('x', [1, 2], 1, 2)], [floats('x', [1, 3], 1, 2, 3)], [floats('x', [1, 2], 3, 4)]];

  expect(formRuns(items, { maxRows: 8, maxValues: 4096 })).toEqual([[0, 2], [1]]);
});

const tokens = (...ids: number[]): TensorData[] => [
  { name: 'ids', datatype: 'INT64', shape: [1, ids.length], data: BigInt64Array.from(ids, BigInt), pad: 9 },
  { name: 'mask', datatype: 'INT64', shape: [1, ids.length], data: BigInt64Array.from(ids, () => 1n), pad: 0 },
];

test('token rows of similar length share a run, padded to the longest', () => {
  const rows = [tokens(1, 2, 3), tokens(4), Array.from(tokens(...Array.from({ length: 17 }, () => 5)))];

  const runs = formRuns(rows, { maxRows: 8, maxValues: 4096 });
  const [ids, mask] = stack((runs[0] as number[]).map((i) => rows[i] as TensorData[]));

  expect(runs).toEqual([[0, 1], [2]]);
  expect(ids).toMatchObject({ shape: [2, 3], data: BigInt64Array.of(1n, 2n, 3n, 4n, 9n, 9n) });
  expect(mask).toMatchObject({ shape: [2, 3], data: BigInt64Array.of(1n, 1n, 1n, 1n, 0n, 0n) });
});

test('a run has at most maxRows rows and maxValues tokens', () => {
  const rows = Array.from({ length: 5 }, () => tokens(1, 2, 3));

  expect(formRuns(rows, { maxRows: 2, maxValues: 4096 })).toEqual([[0, 1], [2, 3], [4]]);
  // Lengths up to 16 count as 16, the smallest bucket.
  expect(formRuns(rows, { maxRows: 8, maxValues: 48 })).toEqual([
    [0, 1, 2],
    [3, 4],
  ]);
});

const bag = (...ids: number[]): TensorData[] => [
  { name: 'ids', datatype: 'INT64', shape: [ids.length], data: BigInt64Array.from(ids, BigInt), ragged: 'values' },
  { name: 'offsets', datatype: 'INT64', shape: [1], data: BigInt64Array.of(0n), ragged: 'starts' },
];

test('rows of any length are joined to one, with the place where each begins', () => {
  const rows = [bag(1, 2, 3), bag(4), bag(5, 6)];

  const [run] = formRuns(rows, { maxRows: 8, maxValues: 4096 });
  const [ids, offsets] = stack((run as number[]).map((i) => rows[i] as TensorData[]));

  expect(run).toEqual([0, 1, 2]);
  expect(ids).toMatchObject({ shape: [6], data: BigInt64Array.of(1n, 2n, 3n, 4n, 5n, 6n) });
  expect(offsets).toMatchObject({ shape: [3], data: BigInt64Array.of(0n, 3n, 4n) });
});

test('joined rows have at most the given number of values, unless one of them alone has more', () => {
  const rows = [bag(1, 2), bag(3, 4), bag(5, 6), bag(1, 2, 3, 4, 5), bag(7)];

  expect(formRuns(rows, { maxRows: 8, maxValues: 4 })).toEqual([[0, 1], [2], [3], [4]]);
});
