/** Time series: a list of steps for a graph that takes [N, steps, columns]. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec } from '../support/onnx.js';

/** As PyTorch exports a Conv1d: the weighted sum of the columns, then the largest of the sums. The input is [N, 2, steps]. */
function convolution(shape: readonly (number | string)[]): GraphSpec {
  return {
    inputs: [{ name: 'series', type: 'FP32', shape }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1, 1] }],
    floats: [{ name: 'weights', shape: [1, 2, 1], data: [10, 1] }],
    nodes: [
      { op: 'Conv', inputs: ['series', 'weights'], outputs: ['sums'] },
      { op: 'GlobalMaxPool', inputs: ['sums'], outputs: ['y'] },
    ],
  };
}

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

/** Not a time series. */
function sumOfRow(): GraphSpec {
  return {
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1] }],
    ints: [{ name: 'axes', shape: [1], data: [1] }],
    nodes: [{ op: 'ReduceSum', inputs: ['x', 'axes'], outputs: ['y'] }],
  };
}

const CHANNELS_FIRST: readonly [name: string, shape: readonly (number | string)[]][] = [
  ['steps-open', ['N', 2, 'T']],
  ['two-steps', ['N', 2, 2]],
  ['five-steps', ['N', 2, 5]],
];

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
  const plain = 'task: tabular-regression\ncolumns: [{ name: a, type: number }, { name: b, type: number }]\n';
  for (const [name, shape] of CHANNELS_FIRST) {
    await write(name, convolution(shape), plain);
    await write(`${name}-nft`, convolution(shape), `${plain}series: { layout: NFT }\n`);
  }
  await write('both-open', sumOverSteps(['N', 'T', 'F']), plain);
  await write('both-open-ntf', sumOverSteps(['N', 'T', 'F']), `${plain}series: { layout: NTF }\n`);
  await write('square-ntf', sumOverSteps(['N', 2, 2]), `${plain}series: { layout: NTF }\n`);
  await write('square-unnamed', sumOverSteps(['N', 2, 2]), 'task: tensor\n');
  await write('unnamed-nft', convolution(['N', 2, 'T']), 'task: tabular-regression\nseries: { layout: NFT }\n');
  await write('rows-nft', sumOfRow(), `${plain}series: { layout: NFT }\n`);
  app = await startTestApp({ modelStore: store.folder, workers: 1 });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function predict(model: string, input: unknown): Promise<Data> {
  const { predict } = await app.query(
    `mutation ($input: PredictInput!) { predict(input: $input) {
      prediction { output { ... on Values { values { name value unit } } ... on Embedding { vector } ... on Regression { value } } }
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

test('a shape that does not show that the columns come last needs a layout', async () => {
  const { models } = await app.query('{ models { nodes { name versions { nodes { state stateReason } } } } }');
  const reasons = Object.fromEntries(
    models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0].stateReason]),
  );
  const either = (shape: string) =>
    `model.yaml: input "series" has shape ${shape}, which does not tell the 2 columns from the steps: set series: { layout: NTF } for [any, steps, columns], or series: { layout: NFT } for [any, columns, steps], as Conv1d of PyTorch reads it`;

  expect(reasons).toMatchObject({
    'steps-open': either('[any, 2, any]'),
    'two-steps': either('[any, 2, 2]'),
    'both-open': either('[any, any, any]'),
    'five-steps':
      'model.yaml: the number of columns is 2, but input "series" has shape [any, 2, 5], and a time series [any, steps, columns]: set series: { layout: NFT } if the columns come before the steps, or transpose the input in the export',
    'rows-nft':
      'model.yaml: series describes a graph with one input of the shape [any, steps, columns] or [any, columns, steps], but this graph has "x" [any, 2]: remove series',
  });
});

test.each([
  [
    'steps-open-nft',
    [
      [1, 2],
      [3, 9],
      [2, 0],
    ],
  ],
  [
    'two-steps-nft',
    [
      [1, 2],
      [3, 9],
    ],
  ],
  [
    'five-steps-nft',
    [
      [1, 2],
      [3, 9],
      [0, 0],
      [0, 1],
      [2, 0],
    ],
  ],
  [
    'unnamed-nft',
    [
      [1, 2],
      [3, 9],
      [2, 0],
    ],
  ],
])('%s reads the columns before the steps, and clients send lists of steps', async (model, values) => {
  const { prediction, problem } = await predict(model, { series: { values } });

  expect(problem).toBeNull();
  expect(prediction.output).toEqual({ value: 39 });
  expect((await predict(model, (await signatureOf(model)).example)).problem).toBeNull();
});

test('a graph with channels first that reads a fixed number of steps refuses others', async () => {
  const { problem } = await predict('five-steps-nft', { series: { values: [[1, 2]] } });

  expect(problem.problems).toMatchObject([
    { code: 'WRONG_SHAPE', expected: 'a list of 5 steps, each a list of 2 values' },
  ]);
});

test.each(['square-ntf', 'both-open-ntf'])('%s reads the steps first, as its layout says', async (model) => {
  const { prediction } = await predict(model, {
    series: {
      values: [
        [1, 2],
        [3, 9],
      ],
    },
  });

  expect(prediction.output.values.map(({ value }: Data) => value)).toEqual([4, 11]);
});

test('without columns, a graph whose shape does not tell them from the steps reads tensors', async () => {
  expect(await signatureOf('square-unnamed')).toMatchObject({ inputKind: 'TENSORS', columns: [] });
});
