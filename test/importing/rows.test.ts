/** Rows into graphs of every layout: one tensor, one input for each column, words, whole numbers, missing values. */
import { readFileSync } from 'node:fs';
import { scanGraph } from '#src/onnx/graph-scan.js';
import { withoutZipMap } from '#src/onnx/zip-map.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, TYPE, type TypeName } from '../support/onnx.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Regression { value unit } ... on Classification { label score } } }
  problem { code message ... on InvalidInput { problems { path code expected received } } ... on InferenceFailed { reason } } } }`;

/** The sum of all columns, whatever their types. */
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
  - { name: price, type: number, required: false, example: 1.5 }
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
  await write('astray', MIXED_YAML.replace('name: price', 'name: prize'));
  await write(
    'optional-count',
    MIXED_YAML.replace('name: count, type: integer', 'name: count, type: integer, required: false'),
  );
  await write('word', MIXED_YAML.replace('name: small, type: integer', 'name: small, type: text'));
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

test("each column feeds the input of its name, in that input's type", async () => {
  const { prediction } = await predict({ price: 0.5, count: 10, small: -3, isNew: true });

  expect(prediction.output).toEqual({ value: 8.5, unit: 'EUR' });
});

test('a regression is recorded and read again as it was answered', async () => {
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

test('a number that is missing is NaN to the graph, and an answer of NaN is none', async () => {
  const { problem } = await predict({ count: 1, small: 1, isNew: false });

  expect(problem).toMatchObject({ code: 'INFERENCE_FAILED', reason: 'the predicted number is NaN' });
});

test('a whole number must fit the type of its input', async () => {
  const { problem } = await predict({ price: 1, count: 2 ** 40, small: 2 ** 40, isNew: false });

  expect(problem.problems).toEqual([
    expect.objectContaining({ path: ['input', 'input', 'row', 'small'], code: 'OUT_OF_RANGE' }),
  ]);
});

test('a manifest whose columns cannot feed the graph is refused, and says which', async () => {
  const { models } = await app.query('{ models { nodes { name versions { nodes { state stateReason } } } } }');
  const reasons = Object.fromEntries(
    models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0].stateReason]),
  );

  expect(reasons).toEqual({
    mixed: null,
    astray: 'model.yaml: column "prize" feeds the input "prize"; the graph\'s inputs are price, count, small, isNew',
    'optional-count': 'model.yaml: column "count" is INTEGER, and may be missing, but input "count" is INT64',
    word: 'model.yaml: column "small" is TEXT, but input "small" is INT32',
    fraction: 'model.yaml: column "small" is NUMBER, but input "small" is INT32',
    'no-such-output': 'model.yaml: output.value is "total", but the graph\'s outputs are sum',
  });
});

test('a ZipMap is left out, and the tensor before it is an output with the labels in order', () => {
  const file = readFileSync('model-store/penguins/1/model.onnx');

  const { bytes, zipMap } = withoutZipMap(file);

  expect(zipMap).toEqual({ labels: ['adelie', 'chinstrap', 'gentoo'], output: 'probabilities' });
  expect(scanGraph(bytes)).toEqual([]);
  expect(withoutZipMap(bytes)).toEqual({ bytes, zipMap: null });
});
