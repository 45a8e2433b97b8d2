/** Batch limits found by the import: a version that is not batch invariant runs inputs one at a time. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { VOCABULARY } from '../support/hugging-face/text-folder.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { CRASHING_DIVISION, encodeModel, type GraphSpec, TYPE } from '../support/onnx.js';

const ADD: GraphSpec = {
  inputs: [
    { name: 'a', type: 'FP32', shape: ['N'] },
    { name: 'b', type: 'FP32', shape: ['N'] },
  ],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }],
  nodes: [{ op: 'Add', inputs: ['a', 'b'], outputs: ['y'] }],
};

/** Not batch invariant: every answer is divided by the largest input of the whole batch. */
const SCALED_BY_THE_BATCH: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    { op: 'ReduceMax', inputs: ['x'], outputs: ['max'], attributes: [{ name: 'keepdims', int: 0 }] },
    { op: 'Div', inputs: ['x', 'max'], outputs: ['y'] },
  ],
};

/** The same with integers, in percent. */
const WHOLE_BY_THE_BATCH: GraphSpec = {
  inputs: [{ name: 'x', type: 'INT64', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'INT64', shape: ['N', 2] }],
  nodes: [
    { op: 'ReduceMax', inputs: ['x'], outputs: ['max'], attributes: [{ name: 'keepdims', int: 0 }] },
    { op: 'Mul', inputs: ['x', 'hundred'], outputs: ['percent'] },
    { op: 'Div', inputs: ['percent', 'max'], outputs: ['y'] },
  ],
  ints: [{ name: 'hundred', shape: [], data: [100] }],
};

/** y = INT64_MIN / (x − 2), which crashes the process if x is 1. */
const CRASHING_AT_ONE: GraphSpec = {
  inputs: [{ name: 'x', type: 'INT64', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'INT64', shape: ['N', 2] }],
  nodes: [
    { op: 'Sub', inputs: ['x', 'two'], outputs: ['less'] },
    { op: 'Div', inputs: ['least', 'less'], outputs: ['y'] },
  ],
  ints: [
    { name: 'two', shape: [], data: [2] },
    { name: 'least', shape: [], data: [-(2 ** 63)] },
  ],
};

/** Like SCALED_BY_THE_BATCH, with scores for a row of integers. */
const COUNTS_BY_THE_BATCH: GraphSpec = {
  inputs: [{ name: 'x', type: 'INT64', shape: ['N', 2] }],
  outputs: [{ name: 'scores', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    { op: 'Cast', inputs: ['x'], outputs: ['floats'], attributes: [{ name: 'to', int: TYPE.FP32 }] },
    { op: 'ReduceMax', inputs: ['floats'], outputs: ['max'], attributes: [{ name: 'keepdims', int: 0 }] },
    { op: 'Div', inputs: ['floats', 'max'], outputs: ['scores'] },
  ],
};

/** Dynamic quantization: the embeddings are rounded to 1/255 of the value range of the whole batch. */
const quantized = (inputs: readonly string[]): GraphSpec => ({
  inputs: inputs.map((name) => ({ name, type: 'INT64', shape: ['N', 'L'] })),
  outputs: [{ name: 'logits', type: 'FP32', shape: ['N', 2] }],
  nodes: [
    { op: 'Gather', inputs: ['words', 'input_ids'], outputs: ['exact'] },
    { op: 'DynamicQuantizeLinear', inputs: ['exact'], outputs: ['whole', 'step', 'zero'] },
    { op: 'DequantizeLinear', inputs: ['whole', 'step', 'zero'], outputs: ['embedded'] },
    { op: 'Cast', inputs: ['attention_mask'], outputs: ['present'], attributes: [{ name: 'to', int: TYPE.FP32 }] },
    { op: 'Unsqueeze', inputs: ['present', 'axis_2'], outputs: ['mask'] },
    { op: 'Mul', inputs: ['embedded', 'mask'], outputs: ['hidden'] },
    { op: 'ReduceSum', inputs: ['hidden', 'axis_1'], outputs: ['logits'], attributes: [{ name: 'keepdims', int: 0 }] },
  ],
  floats: [
    {
      name: 'words',
      shape: [VOCABULARY.length, 2],
      data: VOCABULARY.flatMap((word, i) => ({ good: [-6, 6], great: [-9_000, 9_000] })[word] ?? [(i % 7) / 3, 0.25]),
    },
  ],
  ints: [
    { name: 'axis_1', shape: [1], data: [1] },
    { name: 'axis_2', shape: [1], data: [2] },
  ],
});

/** Sums each row. Its output is declared as exporters do that trace an example: with one row. */
const summing = (output: (number | string)[] | null, input: number | string = 'N'): GraphSpec => ({
  inputs: [{ name: 'x', type: 'FP32', shape: [input, 2] }],
  outputs: [{ name: 'y', type: 'FP32', shape: output }],
  nodes: [{ op: 'ReduceSum', inputs: ['x', 'axis'], outputs: ['y'] }],
  ints: [{ name: 'axis', shape: [1], data: [1] }],
});

/** One sum for the whole batch, whatever the number of rows. */
const ONE_SUM: GraphSpec = { ...summing([1, 1]), ints: [{ name: 'axis', shape: [2], data: [0, 1] }] };

const exampleOf = (datatype: string, data: string) =>
  `example: { tensors: [{ name: x, datatype: ${datatype}, shape: [1, 2], data: ${data} }] }`;

const COLUMNS_YAML = `task: tabular-classification
labels: ["no", "yes"]
columns: [{ name: p, type: integer, example: 1 }, { name: q, type: integer, example: 2 }]
output: { scores: scores }
`;

/** y = 7 / 2. With other values, the same graph crashes the process. */
const DIVISION_YAML =
  'example: { tensors: [{ name: a, datatype: INT32, shape: [1], data: [7] }, { name: b, datatype: INT32, shape: [1], data: [2] }] }';

let store: TestStore;
let app: TestApp;
let serving: Readonly<Record<string, Data>>;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, graph: GraphSpec, yaml = '') =>
    store.write(name, { '1/model.onnx': encodeModel(graph), 'model.yaml': yaml });
  await write('independent', ADD);
  await write('dependent', SCALED_BY_THE_BATCH, exampleOf('FP32', '[1, 2]'));
  await write('integers', WHOLE_BY_THE_BATCH, exampleOf('INT64', '[1, 2]'));
  await write('columns', COUNTS_BY_THE_BATCH, COLUMNS_YAML);
  await write('crashing-neighbors', CRASHING_AT_ONE, exampleOf('INT64', '[3, 3]'));
  await write('division', CRASHING_DIVISION, DIVISION_YAML);
  await write('declared-one-row', summing([1, 1]));
  await write('declared-no-shape', summing(null));
  await write('one-sum', ONE_SUM);
  await write('frozen-at-one', summing([1, 1], 1));
  const tokens = encodeModel(quantized(['input_ids', 'attention_mask']), { opset: 17 });
  await store.write('token-ids', { '1/model.onnx': tokens });
  await store.write('texts', {
    ...huggingFaceFolders()['tiny-sst'],
    'README.md': '---\nwidget: [{ text: good }]\n---',
    'onnx/model.onnx': tokens,
  });
  app = await startTestApp({ modelStore: store.folder });
  const { models } = await app.query(
    '{ models(first: 100) { nodes { name versions { nodes { stateReason serving { maxBatch maxBatchReason } } } } } }',
  );
  serving = Object.fromEntries(
    models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0].serving ?? versions.nodes[0].stateReason]),
  );
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test('a version that is not batch invariant runs inputs one at a time, and maxBatchReason names the output', () => {
  expect(serving['dependent']).toEqual({
    maxBatch: 1,
    maxBatchReason: 'in a batch of 2, output "y" depends on the other inputs',
  });
  expect(serving['independent'].maxBatch).toBe(128);
});

test.each(['declared-one-row', 'declared-no-shape'])(
  'an output whose shape is declared wrongly does not disable batching: %s',
  async (model) => {
    const inputs = [1, 2, 3].map((value) => ({
      tensors: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [value, value] }],
    }));
    const { predictMany } = await app.query(
      'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { prediction { timing { batchSize } output { ... on Tensors { tensors { shape data } } } } } } }',
      { input: { model, inputs } },
    );

    expect(serving[model].maxBatch).toBe(128);
    const predictions = predictMany.results.map(({ prediction }: Data) => prediction);
    expect(predictions.map(({ output }: Data) => output.tensors)).toEqual(
      [2, 4, 6].map((sum) => [{ shape: [1, 1], data: [sum] }]),
    );
    expect(Math.max(...predictions.map(({ timing }: Data) => timing.batchSize))).toBeGreaterThan(1);
  },
);

test('the signature of a version that runs in batches has an open number of output rows', async () => {
  const { version } = await app.query('{ version(ref: "declared-one-row") { signature { outputs { shape } } } }');

  expect(version.signature.outputs).toEqual([{ shape: [null, 1] }]);
});

test('an output with one row for the whole batch, and an input with a fixed size, keep inputs alone', () => {
  expect(serving['one-sum']).toEqual({ maxBatch: 1, maxBatchReason: expect.stringContaining('rows for 2 input rows') });
  expect(serving['frozen-at-one']).toEqual({
    maxBatch: 1,
    maxBatchReason: expect.stringMatching(
      /^the first size of input "x", \[1, 2\], is fixed, so that inputs run one at a time: export with an open batch size/,
    ),
  });
});

test.each([
  ['integers', 'y'],
  ['columns', 'scores'],
  ['token-ids', 'logits'],
  ['texts', 'logits'],
])('batch invariance is checked for %s', (model, output) => {
  expect(serving[model]).toEqual({
    maxBatch: 1,
    maxBatchReason: expect.stringContaining(`output "${output}" depends on the other inputs`),
  });
});

test('a version that crashes next to other inputs runs inputs one at a time', () => {
  expect(serving['crashing-neighbors']).toEqual({
    maxBatch: 1,
    maxBatchReason: 'in a batch with other inputs, the inference process ended (signal SIGFPE)',
  });
});

test('a version that could crash with other values, but gives the same answers in batches, is batched', () => {
  expect(serving['division']).toEqual({
    maxBatch: 128,
    maxBatchReason: 'tested 1 input: each answer is the same alone and in batches with other inputs',
  });
});
