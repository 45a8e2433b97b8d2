/** Inputs of image graphs: integers, channels last, padding and sizes, as model.yaml describes them. The graphs return their input. */
import { Buffer } from 'node:buffer';
import sharp from 'sharp';
import { startTestApp, type TestApp } from '../support/app.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, TYPE, type TypeName } from '../support/onnx.js';

const CLASSIFY = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Classification { label score classes { label } } } } problem { code message } } }`;

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Embedding { vector } } } problem { code message } } }`;

/** The input as one vector of floats. */
function flattened(type: TypeName, shape: readonly (string | number)[]): Buffer {
  const isBatch = shape.length === 4;
  return encodeModel({
    inputs: [{ name: 'x', type, shape }],
    outputs: [{ name: 'embeddings', type: 'FP32', shape: isBatch ? ['N', 'values'] : [1, 'values'] }],
    nodes: [
      { op: 'Cast', inputs: ['x'], outputs: ['f'], attributes: [{ name: 'to', int: TYPE.FP32 }] },
      { op: 'Flatten', inputs: ['f'], outputs: ['embeddings'], attributes: [{ name: 'axis', int: isBatch ? 1 : 0 }] },
    ],
  });
}

interface Sample {
  readonly type?: TypeName;
  readonly shape: readonly (string | number)[];
  readonly image: string;
  /** The values for an image of 2 x 1 pixels: (10, 20, 30) and (40, 50, 60). */
  readonly values: readonly number[];
}

const A = [10, 20, 30];
const B = [40, 50, 60];
const PLANES = [10, 40, 20, 50, 30, 60];

const SAMPLES: Readonly<Record<string, Sample>> = {
  'bytes-nhwc': {
    type: 'UINT8',
    shape: ['N', 'H', 'W', 3],
    image: 'size: { width: 2, height: 1 }',
    values: [...A, ...B],
  },
  'bytes-nchw': { type: 'UINT8', shape: ['N', 3, 1, 2], image: '', values: PLANES },
  'signed-bytes': {
    type: 'INT8',
    shape: ['N', 1, 2, 3],
    image: 'layout: NHWC, rescale_factor: 1, image_mean: [128, 128, 128]',
    values: [...A, ...B].map((x) => x - 128),
  },
  integers: { type: 'INT32', shape: ['N', 3, 1, 2], image: 'rescale_factor: 1', values: PLANES },
  'long-integers': { type: 'INT64', shape: ['N', 3, 1, 2], image: 'rescale_factor: 1', values: PLANES },
  'floats-nhwc': { shape: ['N', 1, 2, 3], image: 'layout: NHWC, rescale_factor: 1', values: [...A, ...B] },
  'declared-nhwc': {
    shape: ['N', 'a', 'b', 'c'],
    image: 'layout: NHWC, rescale_factor: 1, size: { width: 2, height: 1 }',
    values: [...A, ...B],
  },
  'one-image': { shape: [3, 'H', 'W'], image: 'rescale_factor: 1', values: PLANES },
  'one-image-hwc': { type: 'UINT8', shape: ['H', 'W', 3], image: '', values: [...A, ...B] },
  'own-size': { shape: ['N', 3, 'H', 'W'], image: 'fit: none, rescale_factor: 1', values: PLANES },
  'shortest-edge': {
    shape: ['N', 3, 'H', 'W'],
    image: 'size: { shortest_edge: 1 }, rescale_factor: 1',
    values: PLANES,
  },
  'pad-corner': {
    shape: ['N', 2, 2, 3],
    image: 'fit: letterbox, rescale_factor: 1, pad: { color: [1, 2, 3] }',
    values: [...A, ...B, 1, 2, 3, 1, 2, 3],
  },
  'pad-center': {
    shape: ['N', 3, 2, 3],
    image: 'layout: NHWC, fit: letterbox, rescale_factor: 1, pad: { color: 7, position: center }',
    values: [7, 7, 7, 7, 7, 7, ...A, ...B, 7, 7, 7, 7, 7, 7],
  },
  'pad-normalized': {
    shape: ['N', 2, 2, 3],
    image: 'size: { shortest_edge: 1, longest_edge: 2 }, rescale_factor: 0.1, image_mean: [1, 1, 1], pad: { value: 0 }',
    values: [0, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0],
  },
};

const REFUSED: Readonly<Record<string, readonly [TypeName, readonly (string | number)[], string, RegExp]>> = {
  'bytes-normalized': [
    'UINT8',
    ['N', 3, 1, 2],
    'image_mean: [0.5, 0.5, 0.5]',
    /UINT8, but images are normalized .* rescale_factor to 1/,
  ],
  'bytes-signed': ['INT8', ['N', 3, 1, 2], '', /INT8, but images are normalized to 0 to 255/],
  'five-channels': ['FP32', ['N', 5, 4, 4], '', /read as NCHW: 5 channels.*image\.layout/],
  'pad-too-small': [
    'FP32',
    ['N', 3, 8, 8],
    'size: { shortest_edge: 8 }, pad: {}',
    /larger than image\.pad\.size.*longest_edge to 8/,
  ],
  'pad-twice': ['FP32', ['N', 3, 8, 8], 'fit: letterbox, pad: { color: 1, value: 0 }', /set color or value, not both/],
  'unknown-filter': ['FP32', ['N', 3, 8, 8], 'resample: opencv-cubic', /opencv-linear/],
  'wrong-layout': ['FP32', ['N', 3, 8, 8], 'layout: CHW', /image\.layout is CHW, but input "x"/],
};

let store: TestStore;
let app: TestApp;
let twoPixels: string;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, graph: Buffer, image: string) =>
    store.write(name, { '1/model.onnx': graph, 'model.yaml': `task: image-feature-extraction\nimage: { ${image} }\n` });
  for (const [name, { type = 'FP32', shape, image }] of Object.entries(SAMPLES))
    await write(name, flattened(type, shape), image);
  for (const [name, [type, shape, image]] of Object.entries(REFUSED)) await write(name, flattened(type, shape), image);
  await store.write('brightness', {
    '1/model.onnx': encodeModel({
      inputs: [{ name: 'x', type: 'UINT8', shape: ['N', 'H', 'W', 3] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['N'] }],
      nodes: [
        { op: 'Cast', inputs: ['x'], outputs: ['f'], attributes: [{ name: 'to', int: TYPE.FP32 }] },
        {
          op: 'ReduceMean',
          inputs: ['f'],
          outputs: ['y'],
          attributes: [
            { name: 'axes', ints: [1, 2, 3] },
            { name: 'keepdims', int: 0 },
          ],
        },
      ],
    }),
    'model.yaml':
      'task: image-classification\nlabels: [dark, bright]\nimage: { size: { width: 8, height: 8 }, rescale_factor: 1 }\noutput: { scores: y }\n',
  });
  const raw = { width: 2, height: 1, channels: 3 } as const;
  twoPixels = (
    await sharp(Buffer.from([...A, ...B]), { raw })
      .png()
      .toBuffer()
  ).toString('base64');
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

test.each(Object.entries(SAMPLES))('%s gets the pixels as the graph expects them', async (model, { values }) => {
  const { predict } = await app.query(PREDICT, { input: { model, input: { image: { base64: twoPixels } } } });

  expect(predict.problem).toBeNull();
  expect(predict.prediction.output.vector).toEqual(values.map((value) => expect.closeTo(value, 5)));
});

test('the label of a single score that is never negative is chosen at 0.5, and the score is no probability', async () => {
  const labelOf = async (level: number) => {
    const create = { width: 8, height: 8, channels: 3, background: { r: level, g: level, b: level } } as const;
    const base64 = (await sharp({ create }).png().toBuffer()).toString('base64');
    const { predict } = await app.query(CLASSIFY, { input: { model: 'brightness', input: { image: { base64 } } } });
    return predict.prediction.output;
  };

  expect(await labelOf(0)).toEqual({ label: 'dark', score: null, classes: [] });
  expect(await labelOf(200)).toEqual({ label: 'bright', score: null, classes: [] });
});

test.each(Object.entries(REFUSED))('%s is refused with what to change', async (name, [, , , reason]) => {
  const { model } = await app.query(
    'query ($name: String!) { model(name: $name) { versions(first: 1) { nodes { state stateReason } } } }',
    { name },
  );

  expect(model.versions.nodes[0]).toMatchObject({
    state: 'FAILED',
    stateReason: expect.stringMatching(reason),
  });
});
