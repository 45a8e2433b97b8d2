/**
 * Models with several numbers or classes for an input, and rows or time series in place of tensors. golden.json of each
 * folder has the answers of scikit-learn; see goldens/make-several-answers.py.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { type Data, startTestApp, type TestApp } from '../support/app.js';

const MODELS = path.resolve('test/importing/goldens/several-answers');

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { id output { __typename
    ... on MultiClassification { targets { name label score classes(first: 2) { label score } } }
    ... on Classification { label score classes { label } }
    ... on Regression { value unit } ... on Values { values { name value unit } } ... on Embedding { dimensions }
    ... on Tensors { tensors { name shape } } } }
  problem { code message ... on InvalidInput { problems { path code message expected received } } } } }`;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ modelStore: MODELS, workers: 1 });
});
afterAll(() => app.stop());

async function versionOf(name: string): Promise<Data> {
  const { model } = await app.query(
    `query ($name: String!) { model(name: $name) { versions { nodes { state stateReason verification { cases }
      serving { maxBatch } signature { inputKind outputType labels targets { name unit labels } columns { name type } example } } } } }`,
    { name },
  );
  return model.versions.nodes[0];
}

async function predict(model: string, input: unknown): Promise<Data> {
  return (await app.query(PREDICT, { input: { model, input } })).predict;
}

test('every model answers its golden cases as scikit-learn does', async () => {
  const names = await readdir(MODELS);

  const versions = await Promise.all(names.map(versionOf));

  const failed = versions.flatMap(({ state, stateReason }, i) =>
    state === 'READY' ? [] : [`${names[i]}: ${stateReason}`],
  );
  expect(failed).toEqual([]);
  for (const { verification } of versions) expect(verification.cases).toBe(8);
});

test('several numbers have names and units, which the signature declares', async () => {
  const { signature } = await versionOf('quantiles');
  const { prediction } = await predict('quantiles', signature.example);

  const named = ['p10', 'p50', 'p90'].map((name) => ({ name, unit: 'min' }));
  expect(signature).toMatchObject({
    outputType: 'Values',
    targets: named.map((target) => ({ ...target, labels: [] })),
  });
  expect(prediction.output).toEqual({
    __typename: 'Values',
    values: named.map((value) => ({ ...value, value: expect.any(Number) })),
  });
});

test('a recorded answer of several numbers is the answer that was given', async () => {
  const { signature } = await versionOf('quantiles');
  const { prediction: given } = await predict('quantiles', signature.example);

  const { prediction } = await app.query(
    'query ($id: ID!) { prediction(id: $id) { output { __typename ... on Values { values { name value unit } } } } }',
    { id: given.id },
  );

  expect(prediction.output).toEqual(given.output);
});

test('a graph that declares one number and returns several is measured, and still answers in batches', async () => {
  const forest = await versionOf('numbers-forest');

  expect(forest.signature.targets).toHaveLength(2);
  expect(forest.serving.maxBatch).toBe(128);
});

test('a category that feeds a number is its index in categories, and others are refused', async () => {
  const { signature } = await versionOf('row-with-category');
  const row = { a: 0, b: 'other', c: 0, d: 0 };

  const { prediction } = await predict('row-with-category', { row });
  const asTensor = await predict('row-with-category', {
    tensors: [{ name: 'X', datatype: 'FP32', shape: [1, 4], data: [0, 2, 0, 0] }],
  });
  const { problem } = await predict('row-with-category', { row: { ...row, b: 'none' } });

  expect(signature.columns[1]).toEqual({ name: 'b', type: 'CATEGORY' });
  expect(prediction.output).toEqual(asTensor.prediction.output);
  expect(problem.problems).toEqual([
    expect.objectContaining({ code: 'NOT_IN_CATEGORIES', expected: 'one of female, male, other' }),
  ]);
});

test('the task tensor with columns accepts rows and tensors, and answers with tensors', async () => {
  const { signature } = await versionOf('row-to-tensors');
  const row = await predict('row-to-tensors', signature.example);
  const rows = await predict('row-to-tensors', {
    tensors: [{ name: 'X', datatype: 'FP32', shape: [2, 4], data: Array(8).fill(1) }],
  });

  expect(signature).toMatchObject({ inputKind: 'ROW', outputType: 'Tensors' });
  expect(row.prediction.output).toEqual({ __typename: 'Tensors', tensors: [{ name: 'variable', shape: [1, 3] }] });
  expect(rows.prediction.output.tensors).toEqual([{ name: 'variable', shape: [2, 3] }]);
});

test('a row becomes an embedding with the task feature-extraction, which then accepts no text', async () => {
  const { signature } = await versionOf('embedding-pca');
  const { prediction } = await predict('embedding-pca', signature.example);
  const { problem } = await predict('embedding-pca', { text: 'a' });

  expect(signature).toMatchObject({ inputKind: 'ROW', outputType: 'Embedding', targets: [] });
  expect(prediction.output).toEqual({ __typename: 'Embedding', dimensions: 2 });
  expect(problem.problems).toEqual([expect.objectContaining({ code: 'WRONG_KIND', expected: 'row (or tensors)' })]);
});

test('several classes have the names of their targets, and their own classes', async () => {
  const { signature } = await versionOf('classes-words');
  const { prediction } = await predict('classes-words', signature.example);

  expect(signature).toMatchObject({
    outputType: 'MultiClassification',
    labels: [],
    targets: [
      { name: 'answer', unit: null, labels: ['no', 'yes'] },
      { name: 'level', unit: null, labels: ['high', 'low', 'mid'] },
      { name: 'color', unit: null, labels: ['blue', 'red'] },
    ],
  });
  const { targets } = prediction.output;
  expect(targets.map(({ name }: Data) => name)).toEqual(['answer', 'level', 'color']);
  for (const { label, score, classes } of targets) expect(classes[0]).toEqual({ label, score });
});

test('a decision tree for several targets answers with labels only: its export has no probabilities', async () => {
  const { signature } = await versionOf('classes-tree');
  const { prediction } = await predict('classes-tree', signature.example);

  expect(prediction.output.targets).toContainEqual(expect.objectContaining({ score: null, classes: [] }));
});

test('anomalies and clusters are classes, with the labels of model.yaml and without scores of distances', async () => {
  const anomaly = await versionOf('anomaly-forest');
  const cluster = await versionOf('cluster-kmeans');
  const { prediction } = await predict('cluster-kmeans', cluster.signature.example);

  expect(anomaly.signature).toMatchObject({ outputType: 'Classification', labels: ['anomaly', 'normal'] });
  expect(cluster.signature.labels).toEqual(['small', 'medium', 'large']);
  expect(prediction.output).toMatchObject({ score: null, classes: [] });
});
