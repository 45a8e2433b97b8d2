/** Detectors of several frameworks find what their source frameworks find: see `goldens/make-detectors.py`. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { gradient } from '../support/images.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, TYPE, type TypeName, type ValueInfo } from '../support/onnx.js';

interface DetectedBox {
  readonly label: string;
  readonly score: number;
  readonly box: Record<string, number>;
}
interface Case {
  readonly layout: string;
  readonly labels: number;
  /** Width and height of the input, and of the image sent. */
  readonly size: readonly [number, number];
  readonly source: readonly [number, number];
  readonly shape: readonly number[];
  readonly output: readonly number[];
  readonly found: readonly DetectedBox[];
}
const cases: readonly Case[] = JSON.parse(readFileSync(path.resolve('test/importing/goldens/detectors.json'), 'utf8'));
const CASES = cases.map((one, i) => [`${one.layout}-${i}`, one] as const);

const BOX = 'label score box { xmin ymin xmax ymax }';
const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Detections { items { ${BOX} } all: items(threshold: 0.05) { ${BOX} } } } } problem { code message } } }`;

interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
  readonly type?: TypeName;
  /** The declared shape, if it differs. */
  readonly declared?: readonly (string | number)[];
}

/** A graph with constant outputs, whatever the image. */
function constants(input: ValueInfo, outputs: readonly Constant[], metadata = {}): Buffer {
  const nodes: GraphSpec['nodes'] = [
    ...(input.type === 'FP32'
      ? [{ op: 'Identity', inputs: [input.name], outputs: ['levels'] }]
      : [{ op: 'Cast', inputs: [input.name], outputs: ['levels'], attributes: [{ name: 'to', int: TYPE.FP32 }] }]),
    { op: 'ReduceSum', inputs: ['levels'], outputs: ['sum'], attributes: [{ name: 'keepdims', int: 0 }] },
    { op: 'Mul', inputs: ['sum', 'zero'], outputs: ['nothing'] },
    ...outputs.flatMap(({ name, type }) => {
      const added = type ? `${name}_float` : name;
      const sum = { op: 'Add', inputs: [`${name}_constant`, 'nothing'], outputs: [added] };
      return type
        ? [sum, { op: 'Cast', inputs: [added], outputs: [name], attributes: [{ name: 'to', int: TYPE[type] }] }]
        : [sum];
    }),
  ];
  return encodeModel(
    {
      inputs: [input],
      outputs: outputs.map(
        ({ name, shape, declared, type = 'FP32' }): ValueInfo => ({ name, type, shape: declared ?? shape }),
      ),
      nodes,
      floats: [
        { name: 'zero', shape: [], data: [0] },
        ...outputs.map(({ name, shape, data }) => ({ name: `${name}_constant`, shape, data })),
      ],
    },
    { metadata },
  );
}

const image = (width: number, height: number): ValueInfo => ({
  name: 'images',
  type: 'FP32',
  shape: [1, 3, height, width],
});
const labelsYaml = (count: number) => `labels: [${Array.from({ length: count }, (_, i) => `c${i}`).join(', ')}]\n`;
const YAML = 'task: object-detection\n';

const pair = (name: string, shape: readonly number[], data: readonly number[]): Constant => ({ name, shape, data });
/** Two boxes of 20 x 10 pixels in an input of 40 x 20, in each notation. */
const NOTATIONS: Readonly<Record<string, readonly number[]>> = {
  'center fractions': [0.25, 0.5, 0.5, 0.5],
  'center pixels': [10, 10, 20, 10],
  'corners fractions': [0, 0.25, 0.5, 0.75],
  'corners pixels': [0, 5, 20, 15],
  'corners-yx fractions': [0.25, 0, 0.75, 0.5],
  'corners-yx pixels': [5, 0, 15, 20],
};

/** The outputs of torchvision's detectors: the background is class 0. */
const TORCHVISION = [
  { ...pair('boxes', [3, 4], [1, 2, 11, 12, 0, 0, 30, 20, 5, 5, 6, 6]), declared: ['n', 4] },
  { ...pair('labels', [3], [2, 1, 2]), type: 'INT64' as const, declared: ['n'] },
  { ...pair('scores', [3], [0.9, 0.6, 0.1]), declared: ['n'] },
];

const TENSORFLOW = [
  pair('detection_boxes', [1, 2, 4], [0.25, 0, 0.75, 0.5, 0, 0, 1, 1]),
  pair('detection_classes', [1, 2], [2, 1]),
  pair('detection_scores', [1, 2], [0.8, 0.3]),
  pair('num_detections', [1], [2]),
];

const REFUSED: Readonly<Record<string, readonly [Constant, number, string, RegExp]>> = {
  'yolo-ambiguous': [
    pair('output0', [1, 21, 6], Array(126).fill(0)),
    1,
    '',
    /can be yolov5 or yolov10 .* output\.layout/,
  ],
  'yolo-masks': [pair('output0', [1, 39, 21], Array(819).fill(0)), 3, '', /\[N, 7, boxes\] \(yolov8\).*masks/],
  'yolo-logits': [
    pair('output0', [1, 7, 2], [5, 5, 5, 5, 2, 2, 2, 2, -3, -4, 4, -5, 1, -6]),
    3,
    '',
    /not a probability.*activation: sigmoid/,
  ],
  'yolo-softmax': [
    pair('output0', [1, 7, 1], [5, 5, 2, 2, 0, 1, 0]),
    3,
    'output: { activation: softmax }\n',
    /use sigmoid/,
  ],
  'yolo-class': [
    pair('output0', [1, 300, 6], Array(300).fill([1, 1, 5, 5, 0.9, 7]).flat()),
    3,
    '',
    /class 7.*3 labels/,
  ],
};

/** Of models whose boxes each have two labels that score enough: how many boxes, and how many objects transformers takes. */
const MOST = [
  ['rt_detr', 2, 2],
  ['d_fine', 3, 3],
  ['deimv2', 4, 4],
  ['rf_detr', 5, 5],
  ['conditional_detr', 60, 100],
  ['dab-detr', 61, 100],
  ['lw_detr', 62, 100],
] as const;

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, graph: Buffer, yaml: string) =>
    store.write(name, { '1/model.onnx': graph, 'model.yaml': YAML + yaml });
  for (const [name, { size, shape, output, labels }] of CASES) {
    const isAmbiguous = name.startsWith('yolov10') || labels === 2;
    const layout = isAmbiguous ? `output: { layout: ${name.split('-')[0]} }\n` : '';
    await write(name, constants(image(...size), [pair('output0', shape, output)]), labelsYaml(labels) + layout);
  }
  for (const [notation, box] of Object.entries(NOTATIONS)) {
    const [boxFormat, boxUnit] = notation.split(' ');
    const outputs = [pair('boxes', [1, 1, 4], box), pair('scores', [1, 1, 2], [0.75, 0.1])];
    const yaml = `output: { boxes: boxes, scores: scores, activation: none, boxFormat: ${boxFormat}, boxUnit: ${boxUnit} }\nimage: {}\n`;
    await write(notation.replace(' ', '-'), constants(image(40, 20), outputs), labelsYaml(2) + yaml);
  }
  const pixels = [pair('boxes', [1, 1, 4], [10, 10, 20, 10]), pair('scores', [1, 1, 2], [9, 0])];
  await write('pixels-as-fractions', constants(image(40, 20), pixels), `${labelsYaml(2)}image: {}\n`);
  const single: ValueInfo = { name: 'image', type: 'FP32', shape: [3, 'height', 'width'] };
  await write('torchvision', constants(single, TORCHVISION), `${labelsYaml(3)}image: {}\n`);
  await write('torchvision-labels', constants(single, TORCHVISION), `${labelsYaml(2)}image: {}\n`);
  const bytes: ValueInfo = { name: 'input_tensor', type: 'UINT8', shape: [1, 'height', 'width', 3] };
  await write(
    'tensorflow',
    constants(bytes, TENSORFLOW),
    `${labelsYaml(2)}image: { size: { width: 40, height: 20 } }\n`,
  );
  const two = pair('output0', [1, 6, 1], [5, 5, 2, 2, 0.25, 0.75]);
  const names = { task: 'detect', names: `{0: 'dog, cat', 1: "it's"}` };
  await write('names-in-graph', constants(image(32, 32), [two], names), 'output: { layout: yolov8 }\n');
  await write('names-replaced', constants(image(32, 32), [two], names), `${labelsYaml(2)}output: { layout: yolov8 }\n`);
  for (const [modelType, boxes] of MOST) {
    const places = Array.from({ length: 4 * boxes }, (_, i) => (i % 4 < 2 ? 0.5 : 1));
    const logits = Array.from({ length: 2 * boxes }, (_, i) => 3 - i / 1_000);
    await store.write(modelType.replace('_', '-'), {
      'config.json': JSON.stringify({
        architectures: ['SomeForObjectDetection'],
        model_type: modelType,
        id2label: { 0: 'a', 1: 'b' },
      }),
      'preprocessor_config.json': JSON.stringify({
        image_processor_type: 'RTDetrImageProcessor',
        size: { width: 40, height: 20 },
      }),
      'onnx/model.onnx': constants({ ...image(40, 20), name: 'pixel_values' }, [
        pair('logits', [1, boxes, 2], logits),
        pair('pred_boxes', [1, boxes, 4], places),
      ]),
    });
  }
  await store.write('padded', {
    'config.json': JSON.stringify({
      architectures: ['DetrForObjectDetection'],
      model_type: 'detr',
      id2label: { 0: 'a' },
    }),
    'preprocessor_config.json': JSON.stringify({
      image_processor_type: 'DetrImageProcessor',
      size: { shortest_edge: 20, longest_edge: 40 },
      do_pad: true,
      pad_size: { width: 40, height: 40 },
    }),
    'onnx/model.onnx': constants({ ...image(40, 40), name: 'pixel_values' }, [
      pair('logits', [1, 1, 2], [3, 0]),
      pair('pred_boxes', [1, 1, 4], [0.25, 0.5, 0.5, 0.5]),
    ]),
  });
  const high = pair('output0', [1, 7, 1], [5, 5, 2, 2, 0, 1.5, 1]);
  await write('scores-above-one', constants(image(32, 32), [high]), labelsYaml(3));
  for (const [name, [output, labels, more]] of Object.entries(REFUSED))
    await write(name, constants(image(32, 32), [output]), labelsYaml(labels) + more);
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function detect(model: string, [width, height]: readonly [number, number]): Promise<Data> {
  const base64 = (await gradient(width, height).png().toBuffer()).toString('base64');
  const { predict } = await app.query(PREDICT, { input: { model, input: { image: { base64 } } } });
  expect(predict.problem).toBeNull();
  return predict.prediction.output;
}

async function reasonOf(model: string): Promise<string> {
  const { model: found } = await app.query(
    'query ($name: String!) { model(name: $name) { versions(first: 1) { nodes { state stateReason } } } }',
    { name: model },
  );
  return found.versions.nodes[0].stateReason;
}

test.each(CASES)('%s finds what Ultralytics finds', async (name, { source, found }) => {
  const { items } = await detect(name, source);

  expect(items.map(({ label }: Data) => label)).toEqual(found.map(({ label }) => label));
  for (const [i, { score, box }] of found.entries()) {
    expect(items[i].score).toBeCloseTo(score, 5);
    for (const [edge, value] of Object.entries(box)) expect(Math.abs(items[i].box[edge] - value)).toBeLessThan(0.01);
  }
});

test('scores above 1 are answered as they are', async () => {
  const { items } = await detect('scores-above-one', [32, 32]);

  expect(items).toEqual([{ label: 'c1', score: 1.5, box: { xmin: 4, ymin: 4, xmax: 6, ymax: 6 } }]);
});

test.each([
  ['names-in-graph', "it's"],
  ['names-replaced', 'c1'],
])('%s: the names in the metadata are the labels, unless model.yaml has labels', async (model, label) => {
  const { items } = await detect(model, [32, 32]);

  expect(items.map((item: Data) => item.label)).toEqual([label]);
});

test.each(Object.keys(NOTATIONS))('boxes as %s are converted to pixels of the image sent', async (notation) => {
  const { items } = await detect(notation.replace(' ', '-'), [80, 60]);

  expect(items).toEqual([{ label: 'c0', score: 0.75, box: { xmin: 0, ymin: 15, xmax: 40, ymax: 45 } }]);
});

test.each(MOST)('%s with %i boxes answers %i objects, as in transformers', async (modelType, _boxes, objects) => {
  const { items } = await detect(modelType.replace('_', '-'), [40, 20]);

  expect(items).toHaveLength(objects);
  expect(items[1]).toMatchObject({ label: 'b', box: { xmin: 0 } });
});

test('boxes of a repository are fractions of the image, as in transformers, also if the image was padded', async () => {
  const { items } = await detect('padded', [80, 60]);

  expect(items[0].box).toEqual({ xmin: 0, ymin: 15, xmax: 40, ymax: 45 });
});

test('a detector of torchvision takes one image as it is and answers all its boxes', async () => {
  const { items } = await detect('torchvision', [50, 40]);

  expect(items.map(({ label }: Data) => label)).toEqual(['c2', 'c1', 'c2']);
  expect(items[0].box).toEqual({ xmin: 1, ymin: 2, xmax: 11, ymax: 12 });
  expect(items[2].score).toBeCloseTo(0.1, 6);
});

test('a detector of TensorFlow takes bytes; its first class is 1', async () => {
  const { items, all } = await detect('tensorflow', [80, 60]);

  expect(items).toEqual([
    { label: 'c1', score: expect.closeTo(0.8, 6), box: { xmin: 0, ymin: 15, xmax: 40, ymax: 45 } },
  ]);
  expect(all).toHaveLength(2);
});

test.each([
  ...Object.entries(REFUSED).map(([name, [, , , reason]]) => [name, reason] as const),
  ['pixels-as-fractions', /coordinate 20, but fractions.*output\.boxUnit: pixels/] as const,
  ['torchvision-labels', /class 2, but the 2 labels .*output\.firstClass/] as const,
])('%s is refused with what to change', async (name, reason) => {
  expect(await reasonOf(name)).toMatch(reason);
});
