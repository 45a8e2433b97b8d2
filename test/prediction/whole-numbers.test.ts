/** Whole numbers of 64 bits, such as ids, keep all their digits if they are sent as strings. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, TYPE, type TypeName } from '../support/onnx.js';

/** The last four digits of each id, from a graph with one input for each column. */
function lastDigits(type: TypeName): Buffer {
  return encodeModel({
    inputs: ['id', 'other'].map((name) => ({ name, type, shape: ['N', 1] })),
    outputs: [{ name: 'variable', type: 'FP32', shape: ['N', 1] }],
    nodes: [
      { op: 'Add', inputs: ['id', 'other'], outputs: ['sum'] },
      { op: 'Cast', inputs: ['sum'], outputs: ['wide'], attributes: [{ name: 'to', int: TYPE.INT64 }] },
      { op: 'Mod', inputs: ['wide', 'ten_thousand'], outputs: ['digits'] },
      { op: 'Cast', inputs: ['digits'], outputs: ['variable'], attributes: [{ name: 'to', int: TYPE.FP32 }] },
    ],
    ints: [{ name: 'ten_thousand', shape: [1], data: [10_000] }],
  });
}

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  await store.write('ids', { '1/model.onnx': lastDigits('INT64'), 'model.yaml': 'task: tabular-regression' });
  await store.write('small-ids', { '1/model.onnx': lastDigits('INT32'), 'model.yaml': 'task: tabular-regression' });
  await store.write('limited', {
    '1/model.onnx': lastDigits('INT64'),
    'model.yaml': `task: tabular-regression
columns:
  - { name: id, type: integer, minimum: 5, maximum: 1000000000000000, example: "7" }
  - { name: other, type: integer, example: 1 }`,
  });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function predict(model: string, row: Record<string, unknown>): Promise<Data> {
  const { predict } = await app.query(
    `mutation ($input: PredictInput!) { predict(input: $input) {
      prediction { input output { ... on Regression { value } } }
      problem { ... on InvalidInput { problems { path code message expected received } } }
    } }`,
    { input: { model, input: { row } } },
  );
  return predict;
}

test.each([
  ['1234567890123456789', 0, 6789],
  ['-1234567890123456789', '0', 3211],
  ['9223372036854775806', '1', 5807],
  ['9007199254740993', 0, 993],
  [7, 0, 7],
  [2 ** 53 - 1, 0, 991],
])('the id %j keeps its digits', async (id, other, value) => {
  const { prediction, problem } = await predict('ids', { id, other });

  expect(problem).toBeNull();
  expect(prediction.output.value).toBe(value);
  expect(prediction.input).toEqual({ row: { id, other } });
});

test.each([
  ['ids', 2 ** 53, 'OUT_OF_RANGE', /loses digits: send it as a string, such as "9007199254740993"$/],
  ['ids', -(2 ** 60), 'OUT_OF_RANGE', /loses digits: send it as a string/],
  ['ids', '9223372036854775808', 'OUT_OF_RANGE', /^the value does not fit INT64/],
  ['ids', 1e30, 'OUT_OF_RANGE', /^the value does not fit INT64/],
  ['ids', '1.5', 'WRONG_TYPE', /^this column takes a number/],
  ['ids', '', 'WRONG_TYPE', /^this column takes a number/],
  ['ids', 1.5, 'WRONG_TYPE', /whole numbers/],
  ['small-ids', '7', 'WRONG_TYPE', /^this column takes a number/],
  ['small-ids', 2 ** 31, 'OUT_OF_RANGE', /^the value does not fit INT32, which holds whole numbers from -2147483648/],
  ['limited', '4', 'OUT_OF_RANGE', /outside the accepted range/],
  ['limited', '1000000000000001', 'OUT_OF_RANGE', /outside the accepted range/],
])('%s: the id %j is refused, saying what to send', async (model, id, code, message) => {
  const { problem } = await predict(model, { id, other: 0 });

  expect(problem.problems).toMatchObject([
    { path: ['input', 'input', 'row', 'id'], code, message: expect.stringMatching(message) },
  ]);
});

test('what is expected of a whole number names its range, and strings where they are accepted', async () => {
  const expected = async (model: string) => (await predict(model, { id: true, other: 0 })).problem.problems[0].expected;

  expect(await expected('ids')).toBe('a whole number, beyond 2^53 as a string of digits');
  expect(await expected('small-ids')).toBe('a whole number from -2147483648 to 2147483647');
  expect(await expected('limited')).toBe(
    'a whole number from 5 to 1000000000000000, beyond 2^53 as a string of digits',
  );
});
