/** Which items are stacked, and what the server makes of the outputs. */
import { type NumericRun, resultsOf, stackItems } from '#src/tasks/numeric.js';
import type { Item, VersionSpec } from '#src/tasks/tasks.js';
import { itemOf, simulatedVersion } from '../support/simulation.js';

function specWith(changes: object): VersionSpec {
  return { ...simulatedVersion().spec, ...changes } as VersionSpec;
}

const FP32 = (shape: readonly (number | null)[]) => [{ name: 'x', datatype: 'FP32', shape }];
const column = (name: string, input = 'x') => ({ name, type: 'NUMBER', input, categories: [] });
const row = (...values: number[]) => ({ kind: 'row', rows: 1, work: 1, preprocessingWork: 0, values }) as Item;
const tensor = (shape: readonly number[], data: unknown, datatype = 'FP32') => {
  const tensors = [{ name: 'x', datatype, shape, data }];
  return { kind: 'tensors', rows: shape[0], work: 1, preprocessingWork: 0, tensors } as Item;
};

test('rows of several inputs are stacked by input, in the order of its columns', () => {
  const spec = specWith({
    inputs: [
      { name: 'ids', datatype: 'INT64', shape: [null, 1] },
      { name: 'x', datatype: 'FP32', shape: [null, 2] },
    ],
    columns: [column('a'), column('id', 'ids'), column('b')],
  });

  expect(stackItems([row(1, 2, 3), row(4, 5, Number.NaN)], spec)).toEqual({
    counts: [1, 1],
    areTensors: false,
    inputs: [BigInt64Array.of(2n, 5n), Float32Array.of(1, 3, 4, Number.NaN)],
  });
});

test('tensors are stacked by name, with all of their rows', () => {
  const spec = specWith({
    inputs: [
      { name: 'x', datatype: 'FP32', shape: [null] },
      { name: 'z', datatype: 'UINT8', shape: [null, 2] },
    ],
  });
  const item = (rows: number, x: readonly number[], z: readonly number[]) => {
    const tensors = [
      { name: 'z', datatype: 'UINT8', shape: [rows, 2], data: Uint8Array.from(z) },
      { name: 'x', datatype: 'FP32', shape: [rows], data: Float32Array.from(x) },
    ];
    return { kind: 'tensors', rows, work: 1, preprocessingWork: 0, tensors } as Item;
  };

  expect(stackItems([item(1, [1], [2, 3]), item(2, [4, 5], [6, 7, 8, 9])], spec)).toEqual({
    counts: [1, 2],
    areTensors: true,
    inputs: [Float32Array.of(1, 4, 5), Uint8Array.of(2, 3, 6, 7, 8, 9)],
  });
});

const withColumns = (changes: object) => specWith({ columns: [column('a'), column('b')], ...changes });

test.each<readonly [string, VersionSpec, readonly Item[]]>([
  ['strings in the input', specWith({ inputs: [{ name: 'x', datatype: 'BYTES', shape: [null] }] }), [itemOf(1)]],
  [
    'a sequence in an output',
    specWith({ outputs: [{ name: 'y', datatype: 'seq(map(int64,tensor(float)))', shape: [] }] }),
    [itemOf(1)],
  ],
  ['rows of any size', specWith({ inputs: FP32([null, null]) }), [tensor([1, 2], Float32Array.of(1, 2))]],
  ['rows without values', specWith({ inputs: FP32([null, 0]) }), [tensor([1, 0], new Float32Array(0))]],
  ['a single number', specWith({ inputs: FP32([]) }), [tensor([], Float32Array.of(1))]],
  ['no row', specWith({}), [tensor([0], new Float32Array(0))]],
  ['rows beside tensors', withColumns({ inputs: FP32([null, 2]) }), [row(1, 2), tensor([1, 2], Float32Array.of(1, 2))]],
  ['another number of columns', withColumns({ inputs: FP32([null, 3]) }), [row(1, 2)]],
  ['too few values', specWith({}), [tensor([2], Float32Array.of(1))]],
  ['too many values', specWith({}), [tensor([1], Float32Array.of(1, 2))]],
  ['values that are none', specWith({}), [tensor([1], () => 0)]],
  [
    'a missing whole number',
    withColumns({ inputs: [{ name: 'x', datatype: 'INT64', shape: [null, 2] }] }),
    [row(1, Number.NaN)],
  ],
  ['a task whose answers take long to compute', specWith({ task: 'OBJECT_DETECTION' }), [itemOf(1)]],
])('items are sent as they are for %s', (_, spec, items) => {
  expect(stackItems(items, spec)).toBeNull();
});

test('outputs are split by item, whatever the order of the runs, and a number that is no answer fails alone', () => {
  const spec = specWith({
    task: 'TABULAR_REGRESSION',
    head: { kind: 'value', output: 'y', unit: null },
    outputs: [{ name: 'y', datatype: 'FP32', shape: [null] }],
  });
  const runs: NumericRun[] = [
    { items: [3], failure: { kind: 'memory', message: 'std::bad_alloc' } },
    { items: [0, 2], outputs: [{ shape: [2], data: Float32Array.of(1, Number.NaN) }] },
    { items: [1], outputs: [{ shape: [], data: Float32Array.of(2) }] },
  ];

  expect(resultsOf(runs, { counts: [1, 1, 1, 1], areTensors: false }, spec, rethrow)).toEqual([
    { answer: { kind: 'regression', value: 1, unit: null } },
    { answer: { kind: 'regression', value: 2, unit: null } },
    { failure: { kind: 'inference', message: 'the predicted number is NaN' } },
    { failure: { kind: 'memory', message: 'std::bad_alloc' } },
  ]);
});

test('an error that is a bug is reported, and fails its item only', () => {
  const spec = specWith({
    task: 'TABULAR_REGRESSION',
    head: null,
    outputs: [{ name: 'y', datatype: 'FP32', shape: [null] }],
  });
  const reported: unknown[] = [];
  const run = { items: [0], outputs: [{ shape: [1], data: Float32Array.of(1) }] };

  const results = () => resultsOf([run], { counts: [1], areTensors: true }, spec, (bug) => reported.push(bug));

  expect(results()).toEqual([
    { failure: { kind: 'inference', message: expect.stringContaining('could not be computed') } },
  ]);
  expect(reported).toEqual([expect.any(TypeError)]);
});

function rethrow(bug: unknown): never {
  throw bug;
}
