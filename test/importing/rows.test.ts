/** Tabular models: one graph input for all columns or one per column, integers, booleans and missing values. */
import { readFileSync } from 'node:fs';
import { scanGraph } from '#src/onnx/graph-scan.js';
import { withoutZipMap } from '#src/onnx/zip-map.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, TYPE, type TypeName } from '../support/onnx.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Regression { value unit } ... on Classification { label score } } }
  problem { code message ... on InvalidInput { problems { path code expected received } } ... on InferenceFailed { reason } } } }`;

/** The sum of all columns, each of which has an input of its own type. */
function sumOf(columns: Readonly<Record<string, TypeName>>): GraphSpec {
  const names = Object.keys(columns);
  return {
    inputs: names.map((name) => ({ name, type: columns[name] as TypeName, shape: ['N', 1] })),
    outputs: [{ name: 'sum', type: 'FP32', shape: ['N', 1] }],
    floats: [{ name: 'ones', shape: [names.length, 1], data: names.map(() => 1) }],
    nodes: [
      ...names.map((name) => ({
        op: 'Cast',
        inputs: [name],
        outputs: [`${name}_float`],
        attributes: [{ name: 'to', int: TYPE.FP32 }],
      })),
      {
        op: 'Concat',
        inputs: names.map((name) => `${name}_float`),
        outputs: ['all'],
        attributes: [{ name: 'axis', int: 1 }],
      },
      { op: 'MatMul', inputs: ['all', 'ones'], outputs: ['sum'] },
    ],
  };
}

const MIXED = { price: 'FP32', count: 'INT64', small: 'INT32', isNew: 'BOOL' } as const;
const MIXED_YAML = `task: tabular-regression
output: { value: sum, unit: EUR }
columns:
  - { name: price, type: number, unit: EUR, required: false, example: 1.5 }
  - { name: count, type: integer, example: 2 }
  - { name: small, type: integer, example: 3 }
  - { name: isNew, type: boolean, example: true }
`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, yaml: string) =>
    store.write(name, { '1/model.onnx': encodeModel(sumOf(MIXED)), 'model.yaml': yaml });
  await write('mixed', MIXED_YAML);
  await write('wrong-column', MIXED_YAML.replace('name: price', 'name: prize'));
  await write(
    'optional-count',
    MIXED_YAML.replace('name: count, type: integer', 'name: count, type: integer, required: false'),
  );
  await write('text', MIXED_YAML.replace('name: small, type: integer', 'name: small, type: text'));
  await write('fraction', MIXED_YAML.replace('name: small, type: integer', 'name: small, type: number'));
  await write('no-such-output', MIXED_YAML.replace('value: sum', 'value: total'));
  app = await startTestApp({ modelStore: store.folder, workers: 1 });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function predict(row: Record<string, unknown>): Promise<Data> {
  return (await app.query(PREDICT, { input: { model: 'mixed', input: { row } } })).predict;
}

test("each column feeds the input with its name, converted to that input's type", async () => {
  const { prediction } = await predict({ price: 0.5, count: 10, small: -3, isNew: true });

  expect(prediction.output).toEqual({ value: 8.5, unit: 'EUR' });
});

test('a recorded regression has the same value and unit as the answer', async () => {
  const { predict: first } = await app.query(
    'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } } }',
    { input: { model: 'mixed', input: { row: { price: 1, count: 1, small: 1, isNew: false } } } },
  );

  const { prediction } = await app.query(
    'query ($id: ID!) { prediction(id: $id) { output { ... on Regression { value unit } } } }',
    { id: first.prediction.id },
  );

  expect(prediction.output).toEqual({ value: 3, unit: 'EUR' });
});

test('a missing number becomes NaN, and an answer that is NaN fails the prediction', async () => {
  const { problem } = await predict({ count: 1, small: 1, isNew: false });

  expect(problem).toMatchObject({ code: 'INFERENCE_FAILED', reason: 'the predicted number is NaN' });
});

test('a problem says which columns there are, and the unit of a number', async () => {
  const { problem } = await predict({ cost: 1, price: 'low', count: 1, small: 1, isNew: false });

  expect(problem.problems).toMatchObject([
    { path: ['input', 'input', 'row', 'cost'], expected: 'one of price, count, small, isNew' },
    { path: ['input', 'input', 'row', 'price'], expected: 'a number in EUR' },
  ]);
});

test('an integer outside the range of its input type is refused', async () => {
  const { problem } = await predict({ price: 1, count: 2 ** 40, small: 2 ** 40, isNew: false });

  expect(problem.problems).toEqual([
    expect.objectContaining({ path: ['input', 'input', 'row', 'small'], code: 'OUT_OF_RANGE' }),
  ]);
});

test('if a column or output does not match the graph, the version is FAILED and the reason names it', async () => {
  const { models } = await app.query('{ models { nodes { name versions { nodes { state stateReason } } } } }');
  const reasons = Object.fromEntries(
    models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0].stateReason]),
  );

  expect(reasons).toEqual({
    mixed: null,
    'wrong-column':
      'model.yaml: column "prize" feeds input "prize", but the graph\'s inputs are price, count, small, isNew: correct its name, or set its input',
    'optional-count': 'model.yaml: column "count" is INTEGER with required: false, but input "count" is INT64',
    text: 'model.yaml: column "small" is TEXT, but input "small" is INT32: declare it as category, with categories in the order of their indices in the graph',
    fraction: 'model.yaml: column "small" is NUMBER, but input "small" is INT32',
    'no-such-output': 'model.yaml: output.value is "total", but the graph\'s outputs are sum',
  });
});

test('a ZipMap is removed, and the tensor before it becomes an output, with the labels in order', () => {
  const file = readFileSync('model-store/penguins/1/model.onnx');

  const { bytes, zipMap } = withoutZipMap(file);

  expect(zipMap).toEqual({ labels: ['adelie', 'chinstrap', 'gentoo'], output: 'probabilities' });
  expect(scanGraph(bytes)).toEqual([]);
  expect(withoutZipMap(bytes)).toEqual({ bytes, zipMap: null });
});
