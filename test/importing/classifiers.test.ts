/**
 * Classifiers: the graph's own label is the answer, and only probabilities are presented as scores. Compared with
 * scikit-learn (see `goldens/make-classifiers.py`) at the import, which refuses a version with another label or score.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, type NodeSpec, type ValueInfo } from '../support/onnx.js';

const GOLDENS = path.resolve('test/importing/goldens/classifiers');
const NAMES = readdirSync(GOLDENS).sort();
const COLUMNS = 'columns: [{ name: p, type: number }, { name: q, type: number }]';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { problem { message }
  prediction { output { ... on Classification { label score classes(first: 100) { label score } } } } } }`;

/** A graph of two columns. */
function graphOf(nodes: readonly NodeSpec[], ...outputs: readonly ValueInfo[]): GraphSpec {
  return { inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }], outputs, nodes };
}

const SCORES = { name: 's', type: 'FP32', shape: ['N', 2] } as const;
const SOFTMAX = { op: 'Softmax', inputs: ['x'], outputs: ['s'], attributes: [{ name: 'axis', int: 1 }] };
const SIGMOID = { op: 'Sigmoid', inputs: ['x'], outputs: ['s'] };
const LOGITS = { op: 'Neg', inputs: ['x'], outputs: ['s'] };
/** The index of the lowest value, which no class has as its score. */
const ARG_MIN: readonly NodeSpec[] = [
  { op: 'Neg', inputs: ['x'], outputs: ['n'] },
  {
    op: 'ArgMax',
    inputs: ['n'],
    outputs: ['i'],
    attributes: [
      { name: 'axis', int: 1 },
      { name: 'keepdims', int: 0 },
    ],
  },
];
const INDEX = { name: 'i', type: 'INT64', shape: ['N'] } as const;
/** Whether the first value is above 0. */
const BOOLEAN: readonly NodeSpec[] = [
  {
    op: 'ReduceMax',
    inputs: ['x'],
    outputs: ['m'],
    attributes: [
      { name: 'axes', ints: [1] },
      { name: 'keepdims', int: 0 },
    ],
  },
  { op: 'Sub', inputs: ['m', 'm'], outputs: ['zero'] },
  { op: 'Greater', inputs: ['m', 'zero'], outputs: ['b'] },
];
const FLAG = { name: 'b', type: 'BOOL', shape: ['N'] } as const;
const PICTURES: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 3, 2, 2] }],
  outputs: [{ name: 'logits', type: 'FP32', shape: ['N', 3] }],
  nodes: [
    { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['pooled'] },
    { op: 'Flatten', inputs: ['pooled'], outputs: ['means'] },
    { op: 'Softmax', inputs: ['means'], outputs: ['logits'], attributes: [{ name: 'axis', int: 1 }] },
  ],
};

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  for (const name of NAMES) {
    const read = (file: string) => readFileSync(path.join(GOLDENS, name, file));
    const files = ['model.yaml', '1/model.onnx', '1/golden.json'];
    await store.write(name, Object.fromEntries(files.map((file) => [file, read(file)])));
  }
  const write = (name: string, graph: GraphSpec, yaml: string) =>
    store.write(name, {
      '1/model.onnx': encodeModel(graph),
      'model.yaml': `task: tabular-classification\n${yaml}\n${COLUMNS}`,
    });
  const labels = 'labels: ["no", "yes"]';
  await write('own-index', graphOf([SOFTMAX, ...ARG_MIN], SCORES, INDEX), labels);
  await write('own-index-unnamed', graphOf([SOFTMAX, ...ARG_MIN], SCORES, INDEX), '');
  await write('only-index', graphOf(ARG_MIN, INDEX), labels);
  await write('boolean', graphOf(BOOLEAN, FLAG), labels);
  await write('boolean-unnamed', graphOf(BOOLEAN, FLAG), '');
  await write('logits', graphOf([LOGITS], SCORES), `${labels}\noutput: { scores: s }`);
  await write('logits-activated', graphOf([LOGITS], SCORES), `${labels}\noutput: { scores: s, activation: softmax }`);
  await write('independent', graphOf([SIGMOID], SCORES), labels);
  await write('independent-exclusive', graphOf([SIGMOID], SCORES), `${labels}\nmultiLabel: false`);
  await write('twice', graphOf([SOFTMAX], SCORES), `${labels}\noutput: { activation: softmax }`);
  await write('twice-sigmoid', graphOf([SIGMOID], SCORES), `${labels}\noutput: { scores: s, activation: sigmoid }`);
  const single = graphOf(
    [
      { op: 'ReduceMax', inputs: ['x'], outputs: ['s'], attributes: [{ name: 'axes', ints: [1] }] },
      { op: 'Sigmoid', inputs: ['s'], outputs: ['y'] },
    ],
    { name: 'y', type: 'FP32', shape: ['N', 1] },
  );
  await write('single', single, labels);
  await write('single-multi', single, `${labels}\nmultiLabel: true`);
  const decision = graphOf(
    [{ op: 'ReduceMax', inputs: ['x'], outputs: ['s'], attributes: [{ name: 'axes', ints: [1] }] }],
    {
      name: 's',
      type: 'FP32',
      shape: ['N', 1],
    },
  );
  await write('decision', decision, `${labels}\noutput: { scores: s }`);
  await write('decision-none', decision, `${labels}\noutput: { scores: s, activation: none }`);
  await write('decision-sigmoid', decision, `${labels}\noutput: { scores: s, activation: sigmoid }`);
  const either = graphOf([...BOOLEAN, { op: 'Not', inputs: ['b'], outputs: ['c'] }], FLAG, { ...FLAG, name: 'c' });
  await write('either', either, labels);
  await store.write('reordered', {
    '1/model.onnx': readFileSync(path.join(GOLDENS, 'logistic/1/model.onnx')),
    'model.yaml': readFileSync(path.join(GOLDENS, 'logistic/model.yaml'), 'utf8').replace(
      '\n',
      '\nlabels: [low, middle, high]\n',
    ),
  });
  await store.write('pictures', {
    '1/model.onnx': encodeModel(PICTURES),
    'config.json': '{ "id2label": { "0": "red", "1": "green", "2": "blue" } }',
    'model.yaml': 'task: image-classification\nimage: {}',
  });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function predict(model: string, input: Data): Promise<Data> {
  const { prediction, problem } = (await app.query(PREDICT, { input: { model, input } })).predict;
  expect(problem).toBeNull();
  return prediction.output;
}

const rowOf = (p: number, q: number) => ({ row: { p, q } });

async function versionOf(model: string): Promise<Data> {
  const query = `{ version(ref: "${model}:1") { state stateReason verification { cases } signature { labels multiLabel } } }`;
  return (await app.query(query)).version;
}

test.each(NAMES)('%s answers as scikit-learn does', async (name) => {
  const golden = JSON.parse(readFileSync(path.join(GOLDENS, name, '1/golden.json'), 'utf8'));
  const [{ input, expect: expected }] = golden.cases;

  const version = await versionOf(name);
  const { label, score, classes } = await predict(name, input);

  expect([version.state, version.stateReason, version.verification?.cases]).toEqual(['READY', null, 12]);
  expect(version.signature.multiLabel).toBe(name.startsWith('indicators'));
  expect(label).toBe(expected.label);
  const scores = classes.map((one: Data) => one.score);
  expect(scores).toEqual(scores.toSorted((a: number, b: number) => b - a));
  expect(scores).toHaveLength(expected.scores ? Object.keys(expected.scores).length : 0);
  if (expected.scores) expect(score).toBeCloseTo(expected.scores[label], 5);
  else expect(score).toBeNull();
});

test("with a label that is not the best-scoring class, score is that label's own and classes stay sorted", async () => {
  const { label, score, classes } = await predict('own-index', rowOf(0, 1));

  const probability = 1 / (1 + Math.E);
  expect([label, score]).toEqual(['no', expect.closeTo(probability, 5)]);
  expect(classes).toEqual([
    { label: 'yes', score: expect.closeTo(1 - probability, 5) },
    { label: 'no', score: expect.closeTo(probability, 5) },
  ]);
  expect((await predict('own-index-unnamed', rowOf(0, 1))).label).toBe('0');
});

test('a class index or a boolean answers the label in that place', async () => {
  expect(await predict('only-index', rowOf(1, 0))).toEqual({ label: 'yes', score: null, classes: [] });
  expect(await predict('boolean', rowOf(1, 0))).toEqual({ label: 'yes', score: null, classes: [] });
  expect(await predict('boolean', rowOf(-1, -2))).toMatchObject({ label: 'no' });
  expect(await predict('boolean-unnamed', rowOf(1, 0))).toMatchObject({ label: 'true' });
});

test('logits without an activation answer the label alone', async () => {
  expect(await predict('logits', rowOf(0.25, 0.75))).toEqual({ label: 'no', score: null, classes: [] });
  const { label, score } = await predict('logits-activated', rowOf(0.25, 0.75));
  expect([label, score]).toEqual(['no', expect.closeTo(1 / (1 + Math.exp(-0.5)), 5)]);
});

test('independent scores are multi-label, unless model.yaml says otherwise, and a single one is not', async () => {
  const multiLabel = async (model: string) => (await versionOf(model)).signature.multiLabel;

  expect(await multiLabel('independent')).toBe(true);
  expect(await multiLabel('independent-exclusive')).toBe(false);
  expect(await multiLabel('single')).toBe(false);
  expect((await predict('independent', rowOf(1, 2))).label).toBe('yes');
});

test('a graph that ends in a Softmax is not activated again, whatever config.json says', async () => {
  const image = await sharp({ create: { width: 2, height: 2, channels: 3, background: { r: 0, g: 255, b: 0 } } })
    .png()
    .toBuffer();

  const { label, score } = await predict('pictures', { image: { base64: image.toString('base64') } });

  expect([label, score]).toEqual(['green', expect.closeTo(Math.E / (Math.E + 2), 5)]);
});

test('a single score that is not a probability needs an activation, also if model.yaml names it', async () => {
  const words =
    'output "s" has a single score that is not a probability. If it is a logit, add activation: sigmoid to output in model.yaml; otherwise let the graph return the label, or set task: tensor';

  expect(await versionOf('decision')).toMatchObject({ state: 'FAILED', stateReason: words });
  expect(await versionOf('decision-none')).toMatchObject({ state: 'FAILED', stateReason: words });
  expect((await predict('decision-sigmoid', rowOf(0.25, -1))).label).toBe('yes');
  expect((await predict('decision-sigmoid', rowOf(-0.25, -1))).label).toBe('no');
});

test('what contradicts the graph is refused', async () => {
  const reasonOf = async (model: string) => (await versionOf(model)).stateReason;

  expect(await reasonOf('twice')).toBe(
    'model.yaml: output.activation is softmax, but the graph already ends in Softmax, so that output "s" has probabilities: remove activation from output',
  );
  expect(await reasonOf('twice-sigmoid')).toMatch(
    /output\.activation is sigmoid, but the graph already ends in Sigmoid/,
  );
  expect(await reasonOf('single-multi')).toBe('model.yaml: multiLabel is true, but output "y" has a single score');
  expect(await reasonOf('either')).toBe('model.yaml: output.label is missing: name the output with the label: b or c');
  expect(await reasonOf('reordered')).toBe(
    "model.yaml: labels are in another order than the graph's classes: remove labels, or list them as high, low, middle",
  );
});
