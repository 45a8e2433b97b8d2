/** Which of a graph's outputs is the label: the decision of the classifier, and not a number that stands beside it. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, type NodeSpec, type ValueInfo } from '../support/onnx.js';

const AXIS = { name: 'axis', int: 1 };
const FLAT = { name: 'keepdims', int: 0 };
const SOFTMAX: NodeSpec = { op: 'Softmax', inputs: ['x'], outputs: ['probs'], attributes: [AXIS] };
const probs = (width: number): ValueInfo => ({ name: 'probs', type: 'FP32', shape: ['N', width] });
const vector = (name: string, type: ValueInfo['type']): ValueInfo => ({ name, type, shape: ['N'] });
const best = (from: string): NodeSpec => ({
  op: 'ReduceMax',
  inputs: [from],
  outputs: ['best'],
  attributes: [{ name: 'axes', ints: [1] }, FLAT],
});
const index = (op: 'ArgMax' | 'ArgMin'): NodeSpec => ({
  op,
  inputs: ['x'],
  outputs: ['index'],
  attributes: [AXIS, FLAT],
});
const cast = (from: string, output: string, to: number): NodeSpec => ({
  op: 'Cast',
  inputs: [from],
  outputs: [output],
  attributes: [{ name: 'to', int: to }],
});
const compare = (op: string, from: string): NodeSpec => ({ op, inputs: [from, 'limit'], outputs: ['flag'] });
/** The sum of a row, as a number that is no class. */
const SUM: NodeSpec = { op: 'ReduceSum', inputs: ['x', 'one'], outputs: ['sum'], attributes: [FLAT] };
const COLUMN: NodeSpec = { op: 'Slice', inputs: ['probs', 'one', 'two', 'one'], outputs: ['column'] };

function graphOf(width: number, nodes: readonly NodeSpec[], ...outputs: readonly ValueInfo[]): GraphSpec {
  return {
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', width] }],
    outputs,
    nodes,
    floats: [
      { name: 'limit', shape: [1], data: [0.6] },
      { name: 'weights', shape: [width], data: Array.from({ length: width }, (_, i) => 1 - i / 10) },
    ],
    ints: [1, 2].map((n) => ({ name: n === 1 ? 'one' : 'two', shape: [1], data: [n] })),
  };
}

const THREE = 'labels: [red, green, blue]';
const TWO = 'labels: ["no", "yes"]';
const ABSTAIN = [SOFTMAX, best('probs'), compare('Less', 'best')];
const SIDE_TYPES = { INT64: 7, INT32: 6, UINT8: 2, BOOL: 9 } as const;

/** Folder name, width, graph and model.yaml. */
const MODELS: readonly (readonly [string, number, GraphSpec, string])[] = [
  ...Object.entries(SIDE_TYPES).map(
    ([type, code]) =>
      [
        `beside-${type.toLowerCase()}`,
        3,
        graphOf(3, [SOFTMAX, SUM, cast('sum', 'side', code)], probs(3), vector('side', type as 'INT64')),
        THREE,
      ] as const,
  ),
  ['abstain-of-3', 3, graphOf(3, ABSTAIN, probs(3), vector('flag', 'BOOL')), THREE],
  ['abstain-of-2', 2, graphOf(2, ABSTAIN, probs(2), vector('flag', 'BOOL')), TWO],
  [
    'two-sides',
    3,
    graphOf(3, [...ABSTAIN, SUM, cast('sum', 'side', 7)], vector('flag', 'BOOL'), vector('side', 'INT64'), probs(3)),
    THREE,
  ],
  [
    'threshold',
    2,
    graphOf(2, [SOFTMAX, COLUMN, compare('Greater', 'column')], probs(2), {
      ...vector('flag', 'BOOL'),
      shape: ['N', 1],
    }),
    TWO,
  ],
  [
    'unknown-comparison',
    2,
    graphOf(2, [SOFTMAX, SUM, compare('Greater', 'sum')], probs(2), vector('flag', 'BOOL')),
    TWO,
  ],
  [
    'unknown-scores',
    3,
    graphOf(
      3,
      [{ op: 'Mul', inputs: ['x', 'weights'], outputs: ['probs'] }, SUM, cast('sum', 'side', 7)],
      probs(3),
      vector('side', 'INT64'),
    ),
    THREE,
  ],
  ['arg-min', 3, graphOf(3, [SOFTMAX, index('ArgMin')], probs(3), vector('index', 'INT64')), THREE],
  ['float-index', 3, graphOf(3, [index('ArgMax'), cast('index', 'y', 1)], vector('y', 'FP32')), THREE],
  ['float-label', 3, graphOf(3, [SUM], vector('sum', 'FP32')), `${THREE}\noutput: { label: sum }`],
  [
    'best-score',
    2,
    graphOf(2, [SOFTMAX, best('probs'), index('ArgMax')], vector('best', 'FP32'), vector('index', 'INT64')),
    TWO,
  ],
  [
    'top-1',
    3,
    graphOf(
      3,
      [SOFTMAX, { op: 'TopK', inputs: ['probs', 'one'], outputs: ['values', 'indices'] }],
      { ...vector('values', 'FP32'), shape: ['N', 1] },
      { ...vector('indices', 'INT64'), shape: ['N', 1] },
    ),
    THREE,
  ],
  [
    'amount-beside',
    3,
    graphOf(3, [{ ...SUM, attributes: [] }, SOFTMAX], { ...vector('sum', 'FP32'), shape: ['N', 1] }, probs(3)),
    THREE,
  ],
  [
    'weighted',
    3,
    graphOf(
      3,
      [
        { ...SOFTMAX, outputs: ['p'] },
        { op: 'Mul', inputs: ['p', 'weights'], outputs: ['probs'] },
      ],
      probs(3),
    ),
    `${THREE}\noutput: { scores: probs }`,
  ],
  [
    'weighted-multi',
    3,
    graphOf(
      3,
      [
        { ...SOFTMAX, outputs: ['p'] },
        { op: 'Mul', inputs: ['p', 'weights'], outputs: ['probs'] },
      ],
      probs(3),
    ),
    `${THREE}\noutput: { scores: probs }\nmultiLabel: true`,
  ],
];

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const columns = (count: number) =>
    `columns: [${Array.from({ length: count }, (_, i) => `{ name: c${i}, type: number }`).join(', ')}]`;
  for (const [name, width, graph, yaml] of MODELS)
    await store.write(name, {
      '1/model.onnx': encodeModel(graph),
      'model.yaml': `task: tabular-classification\n${yaml}\n${columns(width)}`,
    });
  const leaf = graphOf(
    2,
    [{ ...SUM, attributes: [] }, index('ArgMax'), { op: 'Identity', inputs: ['index'], outputs: ['leaf'] }],
    { ...vector('sum', 'FP32'), shape: ['N', 1] },
    vector('leaf', 'INT64'),
  );
  for (const [name, yaml] of [
    ['leaf', ''],
    ['leaf-as-target', 'targets: [total, leaf]\n'],
  ] as const)
    await store.write(name, {
      '1/model.onnx': encodeModel(leaf),
      'model.yaml': `task: tabular-regression\n${yaml}${columns(2)}`,
    });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

const ANSWER = `mutation ($input: PredictInput!) { predict(input: $input) { problem { message } prediction { output {
  ... on Classification { label score classes(first: 9) { label score } } ... on Regression { value }
  ... on Values { values { name value } } } } } }`;

async function predict(model: string, ...numbers: readonly number[]): Promise<Data> {
  const row = Object.fromEntries(numbers.map((number, i) => [`c${i}`, number]));
  const { prediction, problem } = (await app.query(ANSWER, { input: { model, input: { row } } })).predict;
  expect(problem).toBeNull();
  return prediction.output;
}

async function versionOf(model: string): Promise<Data> {
  return (await app.query(`{ version(ref: "${model}:1") { state stateReason signature { multiLabel } } }`)).version;
}

const E = Math.E;

test.each(['beside-int64', 'beside-int32', 'beside-uint8', 'beside-bool', 'abstain-of-3', 'two-sides'])(
  'an output beside known scores is not the label: %s',
  async (model) => {
    const { label, score, classes } = await predict(model, 1, 0, 0);

    expect([label, score]).toEqual(['red', expect.closeTo(E / (E + 2), 5)]);
    expect(classes).toHaveLength(3);
    expect((await predict(model, 0, 0, 1)).label).toBe('blue');
  },
);

test('a boolean that says that the best of two scores is low is not the label', async () => {
  expect((await predict('abstain-of-2', 0.1, 0)).label).toBe('no');
  expect((await predict('abstain-of-2', 0, 3)).label).toBe('yes');
});

test('a threshold of a probability is the label, and so is the result of an ArgMin', async () => {
  const { label, score } = await predict('threshold', 0, 0.1);

  expect([label, score]).toEqual(['no', expect.closeTo(1 / (1 + E ** 0.1), 5)]);
  expect((await predict('threshold', 0, 1)).label).toBe('yes');
  expect((await predict('arg-min', 2, 1, 0)).label).toBe('blue');
});

test('an output that may or may not be the label is refused, and the reason says what to write', async () => {
  expect((await versionOf('unknown-comparison')).stateReason).toBe(
    'model.yaml: output is missing: the graph does not show whether "flag" is the label: write output: { label: flag } if it is, or output: { scores: probs } if the label is the one with the highest score',
  );
  expect((await versionOf('unknown-scores')).stateReason).toMatch(
    /the graph does not show whether "side" is the label/,
  );
  expect((await versionOf('float-label')).stateReason).toMatch(
    /output\.label is "sum", but that output is FP32: cast the index of the class to int64 in the graph/,
  );
});

test('an index is the label in any type, and the score of the best class is not that of the second label', async () => {
  expect((await predict('float-index', 0, 0, 1)).label).toBe('blue');
  expect(await predict('best-score', 2, 0)).toEqual({ label: 'no', score: null, classes: [] });
  expect(await predict('best-score', 0, 2)).toEqual({ label: 'yes', score: null, classes: [] });
  expect(await predict('top-1', 0, 1, 0)).toEqual({ label: 'green', score: null, classes: [] });
});

test('the probabilities of the labels are found beside another number', async () => {
  const { label, score } = await predict('amount-beside', 0, 1, 0);

  expect([label, score]).toEqual(['green', expect.closeTo(E / (E + 2), 5)]);
});

test('scores that only lie between 0 and 1 are not presented, unless model.yaml calls them multi-label', async () => {
  expect(await predict('weighted', 1, 0, 0)).toEqual({ label: 'red', score: null, classes: [] });
  expect((await versionOf('weighted')).signature.multiLabel).toBe(false);
  expect((await predict('weighted-multi', 1, 0, 0)).score).toBeCloseTo(E / (E + 2), 5);
  expect((await versionOf('weighted-multi')).signature.multiLabel).toBe(true);
});

test('an integer beside a predicted number is predicted only if there is a target for it', async () => {
  expect(await predict('leaf', 1, 2)).toEqual({ value: 3 });
  expect((await predict('leaf-as-target', 1, 2)).values).toEqual([
    { name: 'total', value: 3 },
    { name: 'leaf', value: 1 },
  ]);
});
