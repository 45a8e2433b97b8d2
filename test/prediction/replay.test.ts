/** A recorded prediction can be run again, and its replay tells whether the answer is still the same. */
import { answerDifference } from '#src/tasks/answer-difference.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, identity } from '../support/onnx.js';

const PREDICT = 'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { message } } }';
const REPLAY = `mutation ($input: ReplayPredictionInput!) { replayPrediction(input: $input) {
  replay { isSame difference largestDifference tolerance prediction { id } output { __typename } runtime { artifactSha256 } }
  problem { code message } } }`;
const COUNT = '{ predictions { totalCount } }';

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const same = identity('x', 'FP32', ['N']);
  await store.write('same', { '1/model.onnx': encodeModel(same) });
  const random = { ...same, nodes: [{ op: 'RandomUniformLike', inputs: ['x'], outputs: ['y'] }] };
  await store.write('random', { '1/model.onnx': encodeModel(random) });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function predicted(model: string, data: readonly number[]): Promise<string> {
  const input = { tensors: [{ name: 'x', datatype: 'FP32', shape: [data.length], data }] };
  const { prediction, problem } = (await app.query(PREDICT, { input: { model, input } })).predict;
  if (problem) throw new Error(problem.message);
  return prediction.id;
}

async function replay(prediction: string, options: object = {}): Promise<Data> {
  return (await app.query(REPLAY, { input: { prediction, ...options } })).replayPrediction;
}

test('a replay says that the answer is the same, and records nothing', async () => {
  const id = await predicted('same', [1.5, -2]);
  const { predictions: before } = await app.query(COUNT);

  const { replay: found, problem } = await replay(id);

  expect(problem).toBeNull();
  expect(found).toMatchObject({ isSame: true, difference: null, largestDifference: 0, tolerance: 1e-4 });
  expect(found).toMatchObject({ prediction: { id }, output: { __typename: 'Tensors' } });
  expect((await app.query(COUNT)).predictions).toEqual(before);
});

test('a replay of a graph that answers at random says where the answers differ, and by how much', async () => {
  const { replay: found } = await replay(await predicted('random', [0, 0, 0]));

  expect(found.isSame).toBe(false);
  expect(found.difference).toMatch(/^tensors\[0\]\.data\[\d\] was [\d.e-]+ and is [\d.e-]+$/);
  expect(found.largestDifference).toBeGreaterThan(found.tolerance);
});

test('what is not there, or not anymore, cannot be replayed', async () => {
  const id = await predicted('same', [1]);
  await app.query(`mutation { deletePredictions(ids: ["${id}"]) { problem { code } } }`);

  for (const unknown of [id, 'prediction_of-nobody', ''])
    expect((await replay(unknown)).problem).toMatchObject({ code: 'NOT_FOUND' });
  expect((await replay(id, { deadlineMs: 0 })).problem).toMatchObject({ code: 'INVALID_INPUT' });
});

test('numbers differ relative to large values, and everything else must be equal', () => {
  const regression = (value: number) => ({ kind: 'regression', value, unit: 'g' }) as const;
  const vector = (...values: number[]) => ({ kind: 'embedding', vector: new Float32Array(values) }) as const;
  const label = (text: string) => ({ kind: 'classification', label: text, scores: null }) as const;

  expect(answerDifference(regression(1_000), regression(1_001), 0.002)).toMatchObject({ largest: 0.001, first: null });
  expect(answerDifference(regression(0.5), regression(0.75), 0.2).first).toBe('value was 0.5 and is 0.75');
  expect(answerDifference(vector(1, Number.NaN), vector(1, Number.NaN), 0)).toMatchObject({ largest: 0, first: null });
  expect(answerDifference(vector(1), vector(1, 2), 1).first).toBe('vector.length was 1 and is 2');
  expect(answerDifference(vector(1), vector(Number.NaN), 1)).toMatchObject({
    largest: null,
    first: 'vector[0] was 1 and is NaN',
  });
  expect(answerDifference(label('ham'), label('spam'), 1)).toMatchObject({
    largest: null,
    first: 'label was "ham" and is "spam"',
  });
  expect(answerDifference(label('ham'), regression(1), 1).first).toBe('kind was "classification" and is "regression"');
});
