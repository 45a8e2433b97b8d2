/** Tensors reach the graph unchanged, and its outputs are returned unchanged, both at once and from the history. */
import { Buffer } from 'node:buffer';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type TypeName } from '../support/onnx.js';

const TENSORS = 'output { ... on Tensors { tensors { name datatype shape data base64 nonFinite { kind indices } } } }';
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id input ${TENSORS} timing { batchSize } } problem { code message retryable ... on InferenceFailed { reason } } } }`;
const AGAIN = `query ($id: ID!) { prediction(id: $id) { input ${TENSORS} } }`;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  for (const type of ['FP32', 'INT32', 'INT64', 'UINT8', 'BYTES', 'BOOL'] as const) {
    await store.write(type.toLowerCase(), { '1/model.onnx': unary('Identity', type, ['N', 2], type, ['N', 2]) });
  }
  await store.write('places', { '1/model.onnx': unary('NonZero', 'FP32', ['N'], 'INT64', [1, 'K']) });
  await store.write('logs', {
    '1/model.onnx': unary('Log', 'FP32', ['N'], 'FP32', ['N']),
    'model.yaml': 'example: { tensors: [{ name: x, datatype: FP32, shape: [1], data: [1] }] }',
  });
  await store.write('roots', { '1/model.onnx': unary('Sqrt', 'FP32', ['N'], 'FP32', ['N']) });
  await store.write('inverses', {
    '1/model.onnx': unary('Reciprocal', 'FP32', ['N'], 'FP32', ['N']),
    'model.yaml': 'example: { tensors: [{ name: x, datatype: FP32, shape: [1], data: [2] }] }',
  });
  await store.write('nan', {
    '1/model.onnx': unary('Log', 'FP32', ['N'], 'FP32', ['N']),
    'model.yaml': 'example: { tensors: [{ name: x, datatype: FP32, shape: [1], data: [-1] }] }',
  });
  await store.write('sums', { '1/model.onnx': sums() });
  await store.write('wide', { '1/model.onnx': wide(4_096) });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

type Shape = (number | string)[];

function unary(op: string, from: TypeName, fromShape: Shape, to: TypeName, toShape: Shape): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: from, shape: fromShape }],
    outputs: [{ name: 'y', type: to, shape: toShape }],
    nodes: [{ op, inputs: ['x'], outputs: ['y'] }],
  });
}

/** Adds up each row. */
function sums(): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 'K'] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }],
    nodes: [{ op: 'ReduceSum', inputs: ['x', 'axis'], outputs: ['y'], attributes: [{ name: 'keepdims', int: 0 }] }],
    ints: [{ name: 'axis', shape: [1], data: [1] }],
  });
}

function floatsOf(base64: string): number[] {
  return Array.from(new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer));
}

/** Returns `columns` copies of the first value of each row. */
function wide(columns: number): Buffer {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['N', 1] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['N', columns] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'ones'], outputs: ['y'] }],
    floats: [{ name: 'ones', shape: [1, columns], data: Array(columns).fill(1) }],
  });
}

async function predict(model: string, tensor: Record<string, unknown>): Promise<Data> {
  const input = { tensors: [{ name: 'x', ...tensor }] };
  const { prediction, problem } = (await app.query(PREDICT, { input: { model, input } })).predict;
  expect(problem).toBeNull();
  expect(prediction.input).toEqual(input);
  return prediction;
}

test.each([
  ['FP32', [1.5, -0.25], [1.5, -0.25]],
  ['INT32', [2 ** 31 - 1, -(2 ** 31)], [2147483647, -2147483648]],
  ['INT64', ['9223372036854775807', -1], ['9223372036854775807', -1]],
  ['BYTES', ['ä€😀', ''], ['ä€😀', '']],
  ['BOOL', [true, false], [1, 0]],
])('%s values are returned exactly, at once and from the history', async (datatype, sent, expected) => {
  const { id, input, output } = await predict(datatype.toLowerCase(), { datatype, shape: [1, 2], data: sent });
  const again = await app.query(AGAIN, { id });

  expect(output.tensors).toMatchObject([{ name: 'y', datatype, shape: [1, 2], data: expected }]);
  expect(again.prediction).toEqual({ input, output });
});

test('a flat list, a nested list and base64 give the same tensor', async () => {
  const bytes = Buffer.from(new Float32Array([1, 2, 3, 4]).buffer).toString('base64');
  const tensor = { datatype: 'FP32', shape: [2, 2] };

  const flat = await predict('fp32', { ...tensor, data: [1, 2, 3, 4] });
  const nested = await predict('fp32', {
    ...tensor,
    data: [
      [1, 2],
      [3, 4],
    ],
  });
  const packed = await predict('fp32', { ...tensor, base64: bytes });

  expect(flat.output.tensors[0].base64).toBe(bytes);
  expect(nested.output).toEqual(flat.output);
  expect(packed.output).toEqual(flat.output);
});

test('an output without elements is an empty tensor, at once and from the history', async () => {
  const { id, output } = await predict('places', { datatype: 'FP32', shape: [3], data: [0, 0, 0] });
  const again = await app.query(AGAIN, { id });

  expect(output.tensors).toEqual([
    { name: 'y', datatype: 'INT64', shape: [1, 0], data: [], base64: '', nonFinite: [] },
  ]);
  expect(again.prediction.output).toEqual(output);
});

test('NaN and infinities are null in data, and nonFinite tells which, at once and from the history', async () => {
  const data = [1, 0, -1, 0];
  const tensor = { datatype: 'FP32', shape: [4], data };

  const { id, output } = await predict('logs', tensor);
  const roots = await predict('roots', { ...tensor, data: [4, 9, 16, 1] });
  const inverses = await predict('inverses', { ...tensor, data: [0, 2, 4, 5e-324] });
  const again = await app.query(AGAIN, { id });

  expect(output.tensors).toMatchObject([
    {
      data: [0, null, null, null],
      nonFinite: [
        { kind: 'NAN', indices: [2] },
        { kind: 'NEGATIVE_INFINITY', indices: [1, 3] },
      ],
    },
  ]);
  expect(floatsOf(output.tensors[0].base64)).toEqual([0, -Infinity, Number.NaN, -Infinity]);
  expect(again.prediction.output).toEqual(output);
  expect(roots.output.tensors).toMatchObject([{ data: [2, 3, 4, 1], nonFinite: [] }]);
  expect(inverses.output.tensors).toMatchObject([
    { data: [null, 0.5, 0.25, null], nonFinite: [{ kind: 'INFINITY', indices: [0, 3] }] },
  ]);
});

test('NaN from the example does not fail the import', async () => {
  const { version } = await app.query('{ version(ref: "nan") { state stateReason } }');
  const { output } = await predict('nan', { datatype: 'FP32', shape: [1], data: [-1] });

  expect(version).toEqual({ state: 'READY', stateReason: null });
  expect(output.tensors[0].nonFinite).toEqual([{ kind: 'NAN', indices: [0] }]);
});

test.each([
  ['a list', { data: [] }],
  ['base64', { base64: '' }],
])('a tensor without rows, sent as %s, has an answer without rows', async (_, contents) => {
  const { id, output } = await predict('fp32', { datatype: 'FP32', shape: [0, 2], ...contents });
  const again = await app.query(AGAIN, { id });

  expect(output.tensors).toEqual([{ name: 'y', datatype: 'FP32', shape: [0, 2], data: [], nonFinite: [], base64: '' }]);
  expect(again.prediction.output).toEqual(output);
});

test('a tensor with rows that have no values is summed to zero, also among other inputs', async () => {
  const inputs = [[], [5, 6]].map((data) => ({
    tensors: [{ name: 'x', datatype: 'FP32', shape: [1, data.length], data: [data] }],
  }));

  const { predictMany } = await app.query(
    `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { prediction { ${TENSORS} } } } }`,
    { input: { model: 'sums', inputs } },
  );

  const answers = predictMany.results.map(({ prediction }: Data) => prediction.output.tensors[0].data);
  expect(answers).toEqual([[0], [11]]);
});

test.each([
  ['uint8', 'UINT8', [1, 256], 'the value does not fit UINT8, which holds whole numbers from 0 to 255'],
  [
    'int32',
    'INT32',
    [1, 2 ** 31],
    'the value does not fit INT32, which holds whole numbers from -2147483648 to 2147483647',
  ],
  [
    'int64',
    'INT64',
    [1, 2 ** 60],
    'a JSON number beyond 2^53 loses digits: send it as a string, such as "9007199254740993"',
  ],
  [
    'int64',
    'INT64',
    [1, '9223372036854775808'],
    'the value does not fit INT64, which holds whole numbers from -9223372036854775808 to 9223372036854775807',
  ],
  ['fp32', 'FP32', [1, 1e300], 'the value does not fit FP32, which holds numbers up to 3.4028234663852886e+38'],
])('a value that %s does not hold, %s %j, is refused with what fits', async (model, datatype, data, message) => {
  const input = { tensors: [{ name: 'x', datatype, shape: [1, 2], data }] };
  const { predict } = await app.query(
    'mutation ($input: PredictInput!) { predict(input: $input) { problem { ... on InvalidInput { problems { code message } } } } }',
    { input: { model, input } },
  );

  expect(predict.problem.problems).toEqual([{ code: 'OUT_OF_RANGE', message }]);
});

test('one input may have more rows than the maximum batch', async () => {
  const rows = 1_000;

  const { output, timing } = await predict('fp32', {
    datatype: 'FP32',
    shape: [rows, 2],
    data: Array.from({ length: 2 * rows }, (_, i) => i),
  });

  expect(timing.batchSize).toBe(rows);
  expect(output.tensors[0].data.at(-1)).toBe(2 * rows - 1);
});

test('inputs with different numbers of rows share batches, and each gets its own rows back', async () => {
  const lengths = [1, 3, 200, 2, 7];
  const inputs = lengths.map((rows, i) => ({
    tensors: [{ name: 'x', datatype: 'FP32', shape: [rows, 2], data: Array(2 * rows).fill(i) }],
  }));

  const { predictMany } = await app.query(
    `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { prediction { ${TENSORS} } } } }`,
    { input: { model: 'fp32', inputs } },
  );

  for (const [i, { prediction }] of predictMany.results.entries()) {
    const [{ shape, data }] = prediction.output.tensors;
    expect(shape).toEqual([lengths[i], 2]);
    expect(new Set(data)).toEqual(new Set([i]));
  }
});

test('outputs of more than 16 MiB are refused where they are computed, and cost more than the input', async () => {
  const rowsWithin = (16 * 1024 * 1024) / (4 * 4_096);
  const send = (rows: number) =>
    app.send(
      `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { code message } } }`,
      {
        input: {
          model: 'wide',
          input: { tensors: [{ name: 'x', datatype: 'FP32', shape: [rows, 1], data: Array(rows).fill(1) }] },
        },
      },
    );

  const [within, above, small] = [await send(rowsWithin), await send(rowsWithin + 1), await send(1)];

  expect(within.data.predict.problem).toBeNull();
  expect(above.data.predict.problem).toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringContaining('at most 16777216 can be returned'),
  });
  expect(within.extensions?.['cost'].requested).toBeGreaterThan(small.extensions?.['cost'].requested + 2_000);
});
