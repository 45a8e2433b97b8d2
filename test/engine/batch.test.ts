/** Stacking items into one run and splitting its outputs. */
import { CannotSplit, groupByShape, split, stack } from '#src/engine/batch.js';
import type { TensorData } from '#src/tasks/datatypes.js';

const floats = (name: string, shape: number[], ...data: number[]): TensorData => ({
  name,
  datatype: 'FP32',
  shape,
  data: Float32Array.from(data),
});

test('rows of all items stand one after the other', () => {
  const [x] = stack([[floats('x', [1, 2], 1, 2)], [floats('x', [2, 2], 3, 4, 5, 6)]]);

  expect(x).toEqual(floats('x', [3, 2], 1, 2, 3, 4, 5, 6));
});

test('texts are stacked like numbers', () => {
  const text = (value: string): TensorData => ({ name: 't', datatype: 'BYTES', shape: [1, 1], data: [value] });

  expect(stack([[text('a')], [text('b')]])[0]).toEqual({
    name: 't',
    datatype: 'BYTES',
    shape: [2, 1],
    data: ['a', 'b'],
  });
});

test('each item gets its own rows back', () => {
  const parts = split([floats('y', [3, 1], 10, 20, 30)], [1, 2]);

  expect(parts).toEqual([[floats('y', [1, 1], 10)], [floats('y', [2, 1], 20, 30)]]);
});

test('an output without one row for each input row is never split', () => {
  expect(() => split([floats('y', [1, 1], 10)], [1, 1])).toThrow(CannotSplit);
});

test('items of other inner sizes do not share a run', () => {
  const items = [[floats('x', [1, 2], 1, 2)], [floats('x', [1, 3], 1, 2, 3)], [floats('x', [1, 2], 3, 4)]];

  expect(groupByShape(items)).toEqual([[0, 2], [1]]);
});
