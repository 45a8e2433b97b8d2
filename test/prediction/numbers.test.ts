/** Rows and tensors of numbers share messages and runs with those of other callers, and each gets its own answer. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, identity, type TypeName } from '../support/onnx.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { timing { batchSize } output {
    ... on Regression { value } ... on Tensors { tensors { datatype shape data base64 } } } }
  problem { code message ... on InferenceFailed { reason } } } }`;

/** y = a + 1000 b */
function weighted(rows: 'N' | 1) {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: [rows, 2] }],
    outputs: [{ name: 'y', type: 'FP32', shape: [rows, 1] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    floats: [{ name: 'w', shape: [2, 1], data: [1, 1_000] }],
  });
}

const COLUMNS = `columns:
  - { name: a, type: number, required: false, example: 1 }
  - { name: b, type: number, example: 1 }`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const regression = `task: tabular-regression\n${COLUMNS}`;
  await store.write('together', { '1/model.onnx': weighted('N'), 'model.yaml': regression });
  await store.write('alone', { '1/model.onnx': weighted(1), 'model.yaml': regression });
  await store.write('ids', { '1/model.onnx': encodeModel(identity('x', 'INT64', ['N', 2])) });
  await store.write('ids-alone', { '1/model.onnx': encodeModel(identity('x', 'INT64', [1, 2])) });
  await store.write('words', { '1/model.onnx': encodeModel(identity('x', 'BYTES', ['N', 1])) });
  await store.write('places', {
    '1/model.onnx': encodeModel({
      inputs: [{ name: 'x', type: 'FP32', shape: [1, 4] }],
      outputs: [{ name: 'y', type: 'INT64', shape: [2, 'K'] }],
      nodes: [{ op: 'NonZero', inputs: ['x'], outputs: ['y'] }],
    }),
  });
  await store.write('table', {
    '1/model.onnx': encodeModel({
      inputs: [{ name: 'x', type: 'INT64', shape: ['N', 1] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1] }],
      nodes: [{ op: 'Gather', inputs: ['values', 'x'], outputs: ['y'] }],
      floats: [{ name: 'values', shape: [4], data: [10, 11, 12, 13] }],
    }),
  });
  app = await startTestApp({ modelStore: store.folder, workers: 2 });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function predict(model: string, input: unknown): Promise<Data> {
  return (await app.query(PREDICT, { input: { model, input, record: false } })).predict;
}

const rowOf = (a: number | null, b: number) => ({ row: { a, b } });
const tensorOf = (datatype: TypeName, shape: readonly number[], data: readonly unknown[]) => ({
  tensors: [{ name: 'x', datatype, shape, data }],
});
const numberIn = ({ prediction }: Data) => prediction?.output.value;
const tensorIn = ({ prediction }: Data) => prediction?.output.tensors?.[0];

test('rows, tensors and graphs that do not batch, all sent at once, are answered with their own numbers', async () => {
  const wide = 2n ** 53n;
  const wrong: Data[] = [];
  const ask = async (model: string, input: unknown, isRight: (answer: Data) => boolean) => {
    const answer = await predict(model, input);
    if (!isRight(answer)) wrong.push({ model, input, answer });
  };
  const digits = (answer: Data) =>
    Array.from(new BigInt64Array(Uint8Array.from(Buffer.from(tensorIn(answer).base64, 'base64')).buffer));
  const sent = Array.from({ length: 60 }, (_, i) => {
    const id = wide + BigInt(2 * i + 1);
    const ids = tensorOf('INT64', [1, 2], [String(id), i]);
    const hot = [0, 1, 2, 3].map((place) => Number(((i >> place) & 1) === 1));
    const places = [0, 1, 2, 3].filter((place) => hot[place]);
    return [
      ask('together', rowOf(i, i + 1), (answer) => numberIn(answer) === i + 1_000 * (i + 1)),
      ask('together', tensorOf('FP32', [1, 2], [i, i + 2]), (answer) => numberIn(answer) === i + 1_000 * (i + 2)),
      ask('alone', rowOf(i, i + 3), (answer) => numberIn(answer) === i + 1_000 * (i + 3)),
      ask('ids', ids, (answer) => digits(answer)[0] === id && digits(answer)[1] === BigInt(i)),
      ask('ids-alone', ids, (answer) => digits(answer)[0] === id && digits(answer)[1] === BigInt(i)),
      ask('words', tensorOf('BYTES', [1, 1], [`word ${i}`]), (answer) => tensorIn(answer).data[0] === `word ${i}`),
      ask('places', tensorOf('FP32', [1, 4], hot), (answer) => {
        const { shape, data } = tensorIn(answer);
        return shape[1] === places.length && places.every((place, k) => Number(data[places.length + k]) === place);
      }),
    ];
  });

  await Promise.all(sent.flat());

  expect(wrong).toEqual([]);
});

test('tensors of several rows share a run with others, and keep their rows', async () => {
  const inputs = Array.from({ length: 20 }, (_, i) => {
    const values = Array.from({ length: 2 * (1 + (i % 3)) }, (_, k) => 100 * i + k);
    return { values, input: tensorOf('INT64', [values.length / 2, 2], values) };
  });

  const answers = await Promise.all(inputs.map(({ input }) => predict('ids', input)));

  expect(answers.map(tensorIn)).toMatchObject(
    inputs.map(({ values }) => ({ shape: [values.length / 2, 2], data: values })),
  );
});

test('a missing number fails its own row only', async () => {
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => predict('together', rowOf(i === 5 ? null : i, 1))),
  );

  expect(answers.map((answer) => numberIn(answer) ?? answer.problem.message)).toEqual(
    Array.from({ length: 12 }, (_, i) => (i === 5 ? expect.stringMatching(/number is NaN/) : i + 1_000)),
  );
});

test('a number at which the graph fails does not fail the rows beside it', async () => {
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => predict('table', tensorOf('INT64', [1, 1], [i === 7 ? 99 : i % 4]))),
  );

  expect(answers.map((answer) => tensorIn(answer)?.data[0] ?? answer.problem.code)).toEqual(
    Array.from({ length: 12 }, (_, i) => (i === 7 ? 'INFERENCE_FAILED' : 10 + (i % 4))),
  );
});

test('inputs of a graph that does not batch say that each of them ran alone', async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => predict('alone', rowOf(i, 1))));

  expect(new Set(answers.map(({ prediction }) => prediction.timing.batchSize))).toEqual(new Set([1]));
});
