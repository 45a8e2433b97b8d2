/** Time series: a list of steps for a graph that takes [N, steps, columns]. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec } from '../support/onnx.js';

/** The sum of each column over all steps. `axis`: the dimension of the steps. */
function sumOverSteps(shape: readonly (number | string)[], axis = 1): GraphSpec {
  return {
    inputs: [{ name: 'series', type: 'FP32', shape }],
    outputs: [{ name: 'sums', type: 'FP32', shape: [shape[1 - axis] as string, shape[2] as number] }],
    ints: [{ name: 'axes', shape: [1], data: [axis] }],
    nodes: [
      { op: 'ReduceSum', inputs: ['series', 'axes'], outputs: ['sums'], attributes: [{ name: 'keepdims', int: 0 }] },
    ],
  };
}

const COLUMNS = `columns:
  - { name: load, type: number, unit: kW, minimum: 0, example: 1 }
  - { name: day, type: category, categories: [work, free], example: free }
`;
const YAML = `task: tabular-regression\ntargets: [{ name: load, unit: kWh }, days]\n${COLUMNS}`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, graph: GraphSpec, yaml: string) =>
    store.write(name, { '1/model.onnx': encodeModel(graph), 'model.yaml': yaml });
  await write('sums', sumOverSteps(['N', 'T', 2]), YAML);
  await write('unnamed', sumOverSteps(['N', 'T', 2]), 'task: tabular-regression\n');
  await write('four-steps', sumOverSteps(['N', 4, 2]), YAML);
  await write('embedding', sumOverSteps(['N', 'T', 2]), `task: feature-extraction\n${COLUMNS}`);
  await write('steps-first', sumOverSteps(['T', 'N', 2], 0), YAML.replace(', days', ''));
  await write('three-columns', sumOverSteps(['N', 'T', 3]), YAML);
  await write('three-targets', sumOverSteps(['N', 'T', 2]), YAML.replace('days', 'days, nights'));
  await write('same-targets', sumOverSteps(['N', 'T', 2]), YAML.replace('days', 'load'));
  app = await startTestApp({ modelStore: store.folder, workers: 1 });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function predict(model: string, input: unknown): Promise<Data> {
  const { predict } = await app.query(
    `mutation ($input: PredictInput!) { predict(input: $input) {
      prediction { output { ... on Values { values { name value unit } } ... on Embedding { vector } } }
      problem { code message ... on InvalidInput { problems { path code message expected } } } } }`,
    { input: { model, input } },
  );
  return predict;
}

async function signatureOf(name: string): Promise<Data> {
  const { model } = await app.query(
    'query ($name: String!) { model(name: $name) { versions { nodes { signature { inputKind outputType targets { name unit } columns { name unit } example } } } } }',
    { name },
  );
  return model.versions.nodes[0].signature;
}

test('a series of any length is answered, and its columns are those of a form', async () => {
  const { prediction } = await predict('sums', {
    series: {
      values: [
        [1, 'free'],
        [2.5, 'work'],
        [3, 'free'],
      ],
    },
  });

  expect(prediction.output.values).toEqual([
    { name: 'load', value: 6.5, unit: 'kWh' },
    { name: 'days', value: 2, unit: null },
  ]);
  expect(await signatureOf('sums')).toEqual({
    inputKind: 'SERIES',
    outputType: 'Values',
    targets: [
      { name: 'load', unit: 'kWh' },
      { name: 'days', unit: null },
    ],
    columns: [
      { name: 'load', unit: 'kW' },
      { name: 'day', unit: null },
    ],
    example: {
      series: {
        values: [
          [1, 'free'],
          [1, 'free'],
          [1, 'free'],
        ],
      },
    },
  });
});

test('without columns and targets, values are named after the input, the output and their index', async () => {
  const { columns, targets } = await signatureOf('unnamed');
  const { prediction } = await predict('unnamed', { series: { values: [[1, 2]] } });

  expect(columns.map(({ name }: Data) => name)).toEqual(['series[0]', 'series[1]']);
  expect(targets.map(({ name }: Data) => name)).toEqual(['sums[0]', 'sums[1]']);
  expect(prediction.output.values.map(({ value }: Data) => value)).toEqual([1, 2]);
});

test('a series becomes an embedding with the task feature-extraction', async () => {
  const { prediction } = await predict('embedding', {
    series: {
      values: [
        [1, 'free'],
        [2, 'free'],
      ],
    },
  });

  expect(prediction.output.vector).toEqual([3, 2]);
});

test('the signature example of a series works', async () => {
  const { example } = await signatureOf('four-steps');

  expect((await predict('four-steps', example)).problem).toBeNull();
});

const INVALID: readonly [title: string, model: string, input: unknown, path: string, code: string, expected: string][] =
  [
    ['no list', 'sums', { values: 1 }, 'values', 'WRONG_TYPE', 'a list of one or more steps, each a list of 2 values'],
    ['no steps', 'sums', { values: [] }, 'values', 'EMPTY', 'a list of one or more steps, each a list of 2 values'],
    [
      'too few steps',
      'four-steps',
      { values: [[1, 'free']] },
      'values',
      'WRONG_SHAPE',
      'a list of 4 steps, each a list of 2 values',
    ],
    [
      'a step that is too short',
      'sums',
      { values: [[1, 'free'], [1]] },
      'values.1',
      'WRONG_SHAPE',
      'a list of 2: load, day',
    ],
    ['an unknown category', 'sums', { values: [[1, 'x']] }, 'values.0.1', 'NOT_IN_CATEGORIES', 'one of work, free'],
    [
      'a number below the minimum',
      'sums',
      { values: [[-1, 'free']] },
      'values.0.0',
      'OUT_OF_RANGE',
      'a number of at least 0 kW',
    ],
    ['a missing value', 'sums', { values: [[null, 'free']] }, 'values.0.0', 'MISSING', 'a number of at least 0 kW'],
  ];
test.each(INVALID)('%s is refused with its place', async (_, model, series, path, code, expected) => {
  const { problem } = await predict(model, { series });

  expect(problem.problems).toEqual([
    expect.objectContaining({ path: ['input', 'input', 'series', ...path.split('.')], code, expected }),
  ]);
});

test('a row is refused by a version that reads series', async () => {
  const { problem } = await predict('sums', { row: { load: 1, day: 'free' } });

  expect(problem.problems[0]).toMatchObject({ code: 'WRONG_KIND', expected: 'series (or tensors)' });
});

test('columns and targets that do not fit the graph fail the version, and the reason says what to change', async () => {
  const { models } = await app.query('{ models { nodes { name versions { nodes { stateReason } } } } }');
  const reasons = Object.fromEntries(
    models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0].stateReason]),
  );

  expect(reasons).toMatchObject({
    sums: null,
    'steps-first':
      'output "sums" has shape [3, 2] for one time series: export the graph with the batch as the first dimension of its input and its outputs (PyTorch: batch_first=True)',
    'three-columns': expect.stringContaining(
      'model.yaml: the number of columns is 2, but input "series" has shape [any, any, 3]',
    ),
    'three-targets': 'model.yaml: the number of targets is 3, but output "sums" has 2 values for each input',
    'same-targets': 'model.yaml: target "load" is listed twice',
  });
});
