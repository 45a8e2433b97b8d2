/** Graphs as tf2onnx and skl2onnx export them, with as few settings in model.yaml as possible. */
import { Buffer } from 'node:buffer';
import sharp from 'sharp';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, TYPE } from '../support/onnx.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Classification { label classes { label score } } ... on Regression { value } } }
  problem { code message ... on InvalidInput { problems { path code } } } } }`;

/** Like a Keras network exported by tf2onnx: the channels are last, and the output is named after the last layer. */
const KERAS: GraphSpec = {
  inputs: [{ name: 'input_1', type: 'FP32', shape: ['unk__1', 4, 4, 3] }],
  outputs: [{ name: 'dense', type: 'FP32', shape: ['unk__2', 3] }],
  floats: [{ name: 'ten', shape: [1], data: [10] }],
  nodes: [
    { op: 'Transpose', inputs: ['input_1'], outputs: ['planes'], attributes: [{ name: 'perm', ints: [0, 3, 1, 2] }] },
    { op: 'GlobalAveragePool', inputs: ['planes'], outputs: ['pooled'] },
    { op: 'Flatten', inputs: ['pooled'], outputs: ['means'] },
    { op: 'Mul', inputs: ['means', 'ten'], outputs: ['logits'] },
    { op: 'Softmax', inputs: ['logits'], outputs: ['dense'], attributes: [{ name: 'axis', int: 1 }] },
  ],
};

/** Like a binary classifier of Keras: a single sigmoid score. */
const BINARY: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 1] }],
  outputs: [{ name: 'dense_1', type: 'FP32', shape: ['N', 1] }],
  nodes: [{ op: 'Sigmoid', inputs: ['x'], outputs: ['dense_1'] }],
};

/** Like a pipeline exported by skl2onnx: one input per column. */
const COLUMNS: GraphSpec = {
  inputs: [
    { name: 'age', type: 'FP32', shape: ['N', 1] },
    { name: 'children', type: 'INT64', shape: ['N', 1] },
  ],
  outputs: [{ name: 'variable', type: 'FP32', shape: ['N', 1] }],
  nodes: [
    { op: 'Cast', inputs: ['children'], outputs: ['count'], attributes: [{ name: 'to', int: TYPE.FP32 }] },
    { op: 'Add', inputs: ['age', 'count'], outputs: ['variable'] },
  ],
};

const HALF: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 2] }],
  outputs: [{ name: 'scores', type: 'FP16', shape: ['N', 2] }],
  nodes: [
    {
      op: 'HardSigmoid',
      inputs: ['x'],
      outputs: ['levels'],
      attributes: [
        { name: 'alpha', float: 1 },
        { name: 'beta', float: 0 },
      ],
    },
    { op: 'Cast', inputs: ['levels'], outputs: ['scores'], attributes: [{ name: 'to', int: TYPE.FP16 }] },
  ],
};

const HALF_IN: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP16', shape: ['N', 2] }],
  outputs: [{ name: 'y', type: 'FP16', shape: ['N', 2] }],
  nodes: [{ op: 'Neg', inputs: ['x'], outputs: ['y'] }],
};

/** Zeros around negative numbers, of which the highest in each window of 3 x 3 is taken. */
const PADDED: GraphSpec = {
  inputs: [{ name: 'x', type: 'FP32', shape: ['N', 1, 3, 3] }],
  outputs: [{ name: 'y', type: 'FP32', shape: ['N', 1, 2, 2] }],
  ints: [{ name: 'pads', shape: [8], data: [0, 0, 1, 1, 0, 0, 1, 1] }],
  floats: [{ name: 'zero', shape: [], data: [0] }],
  nodes: [
    { op: 'Neg', inputs: ['x'], outputs: ['negative'] },
    { op: 'Pad', inputs: ['negative', 'pads', 'zero'], outputs: ['padded'] },
    {
      op: 'MaxPool',
      inputs: ['padded'],
      outputs: ['y'],
      attributes: [
        { name: 'kernel_shape', ints: [3, 3] },
        { name: 'strides', ints: [2, 2] },
      ],
    },
  ],
};

const TWO_COLUMNS = 'columns: [{ name: p, type: number, example: 0.25 }, { name: q, type: number, example: 0.75 }]';

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, graph: GraphSpec, yaml: string) =>
    store.write(name, { '1/model.onnx': encodeModel(graph), 'model.yaml': yaml });
  await write('keras', KERAS, 'task: image-classification\nlabels: [red, green, blue]\nimage: {}');
  await write('keras-bare', KERAS, 'task: image-classification');
  await write('keras-names', KERAS, 'task: image-classification\nlabels: [red]\nimage: { color: grey }');
  await write('binary', BINARY, 'task: tabular-classification\nlabels: ["no", "yes"]');
  await write('columns', COLUMNS, 'task: tabular-regression');
  await write('half', HALF, `task: tabular-classification\nlabels: [a, b]\noutput: { scores: scores }\n${TWO_COLUMNS}`);
  await write('half-in', HALF_IN, '');
  await write('padded', PADDED, '');
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function predict(model: string, input: Record<string, unknown>): Promise<Data> {
  return (await app.query(PREDICT, { input: { model, input } })).predict;
}

async function reasonOf(model: string): Promise<string> {
  return (await app.query(`{ version(ref: "${model}:1") { stateReason } }`)).version.stateReason;
}

test('a Keras network takes images with the channels last, and its softmax output is found', async () => {
  const green = { r: 0, g: 255, b: 0 };
  const image = await sharp({ create: { width: 9, height: 9, channels: 3, background: green } })
    .png()
    .toBuffer();

  const { prediction } = await predict('keras', { image: { base64: image.toString('base64') } });

  const expected = Math.exp(10) / (Math.exp(10) + 2);
  expect(prediction.output.label).toBe('green');
  expect(prediction.output.classes[0].score).toBeCloseTo(expected, 5);
});

test('a single score for two labels is the score of the second', async () => {
  const yes = await predict('binary', { row: { x: 2 } });
  const no = await predict('binary', { row: { x: -1 } });

  const sigmoid = (x: number) => expect.closeTo(1 / (1 + Math.exp(-x)), 5);
  expect(yes.prediction.output).toEqual({
    label: 'yes',
    classes: [
      { label: 'yes', score: sigmoid(2) },
      { label: 'no', score: sigmoid(-2) },
    ],
  });
  expect(no.prediction.output.label).toBe('no');
});

test('without columns in model.yaml, the inputs of the graph are the columns', async () => {
  const { version } = await app.query(
    '{ version(ref: "columns") { signature { columns { name type required } example } } }',
  );
  const { prediction } = await predict('columns', { row: { age: 40.5, children: 2 } });
  const { problem } = await predict('columns', { row: { age: 40.5, children: 2.5 } });

  expect(version.signature.columns).toEqual([
    { name: 'age', type: 'NUMBER', required: true },
    { name: 'children', type: 'INTEGER', required: true },
  ]);
  expect(prediction.output).toEqual({ value: 42.5 });
  expect(problem.problems).toEqual([{ path: ['input', 'input', 'row', 'children'], code: 'WRONG_TYPE' }]);
});

test('scores in FP16 are read as numbers', async () => {
  const { prediction, problem } = await predict('half', { row: { p: 0.5, q: 0.125 } });

  expect(problem).toBeNull();

  expect(prediction.output.classes).toEqual([
    { label: 'a', score: 0.5 },
    { label: 'b', score: 0.125 },
  ]);
});

test('FP16 tensors work as numbers and as base64, alone and in a batch', async () => {
  const tensor = { name: 'x', datatype: 'FP16', shape: [1, 2] };
  const base64 = Buffer.from(Float16Array.of(1.5, -2).buffer).toString('base64');
  const inputs = [{ tensors: [{ ...tensor, data: [1.5, -2] }] }, { tensors: [{ ...tensor, base64 }] }];

  const { predictMany } = await app.query(
    `mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { problem { message }
      prediction { output { ... on Tensors { tensors { data base64 } } } } } } }`,
    { input: { model: 'half-in', inputs } },
  );
  const { problem } = await predict('half-in', { tensors: [{ ...tensor, data: [1, 70_000] }] });

  const negative = Buffer.from(Float16Array.of(-1.5, 2).buffer).toString('base64');
  for (const { prediction } of predictMany.results)
    expect(prediction.output.tensors).toEqual([{ data: [-1.5, 2], base64: negative }]);
  expect(problem.problems).toEqual([{ path: ['input', 'input', 'tensors', '0', 'data', '1'], code: 'OUT_OF_RANGE' }]);
});

test('zeros around an image count in a maximum, as the graph says', async () => {
  const tensor = { name: 'x', datatype: 'FP32', shape: [1, 1, 3, 3], data: Array(9).fill(1) };
  const { predict } = await app.query(
    'mutation ($input: PredictInput!) { predict(input: $input) { prediction { output { ... on Tensors { tensors { data } } } } } }',
    { input: { model: 'padded', input: { tensors: [tensor] } } },
  );

  expect(predict.prediction.output.tensors[0].data).toEqual([0, 0, 0, 0]);
});

test('the reason lists everything that is missing', async () => {
  expect(await reasonOf('keras-bare')).toMatch(
    /labels is missing.*; preprocessor_config\.json is missing: add it, or describe in model\.yaml how/,
  );
  expect(await reasonOf('keras-names')).toBe(
    'model.yaml: the number of labels is 1, but output "dense" has shape [any, 3]; color is grey in model.yaml or preprocessor_config.json, but input "input_1" has shape [any, 4, 4, 3]',
  );
});

test('an image of another format is refused before it is decoded', async () => {
  const gif = Buffer.from('GIF89a0000');

  const { problem } = await predict('keras', { image: { base64: gif.toString('base64') } });

  expect(problem.problems).toEqual([{ path: ['input', 'input', 'image', 'base64'], code: 'UNREADABLE' }]);
});
