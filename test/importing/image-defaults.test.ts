/** What the import does where model.yaml leaves out how images are preprocessed, and the graph or a file tells. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { gradient } from '../support/images.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, type GraphSpec, type ValueInfo } from '../support/onnx.js';

const image = (size: number | string): ValueInfo => ({ name: 'x', type: 'FP32', shape: ['n', 3, size, size] });
const scores: ValueInfo = { name: 'scores', type: 'FP32', shape: ['n', 3] };

/** The mean of each color, as scores. */
function classifier(input: ValueInfo, { before = [], constant = 1, metadata = {} }: Partial<Options> = {}): Buffer {
  const pixels = before.at(-1)?.outputs[0] ?? input.name;
  const nodes: GraphSpec['nodes'] = [
    ...before,
    { op: 'GlobalAveragePool', inputs: [pixels], outputs: ['means'] },
    { op: 'Flatten', inputs: ['means'], outputs: ['flat'] },
    { op: 'Softmax', inputs: ['flat'], outputs: ['scores'] },
  ];
  const floats = [{ name: 'constant', shape: [], data: [constant] }];
  return encodeModel({ inputs: [input], outputs: [scores], nodes, floats }, { metadata });
}
interface Options {
  readonly before: GraphSpec['nodes'];
  readonly constant: number;
  readonly metadata: Record<string, string>;
}

const ULTRALYTICS = { author: 'Ultralytics', imgsz: '[8, 8]', names: "{0: 'a', 1: 'b', 2: 'c'}" };
const CLASSIFY = { ...ULTRALYTICS, task: 'classify' };
const DETECT = { ...ULTRALYTICS, task: 'detect', head: 'Detect', end2end: 'False', args: "{'nms': False}" };
const detector = encodeModel(
  {
    inputs: [image('side')],
    outputs: [{ name: 'boxes', type: 'FP32', shape: ['n', 'rows', 'boxes'] }],
    nodes: [
      { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['means'] },
      { op: 'ReduceSum', inputs: ['means'], outputs: ['sum'], attributes: [{ name: 'keepdims', int: 0 }] },
      { op: 'Mul', inputs: ['sum', 'zero'], outputs: ['nothing'] },
      { op: 'Add', inputs: ['found', 'nothing'], outputs: ['boxes'] },
    ],
    floats: [
      { name: 'zero', shape: [], data: [0] },
      { name: 'found', shape: [1, 7, 2], data: [4, 4, 4, 4, 2, 2, 2, 2, 0.9, 0, 0, 0, 0, 0.8] },
    ],
  },
  { metadata: DETECT },
);
const divided = (op: string, constant: number) =>
  classifier(image(8), { before: [{ op, inputs: ['x', 'constant'], outputs: ['divided'] }], constant });
const YAML = 'task: image-classification\nlabels: [a, b, c]\n';
const TIMM = {
  architectures: ['TimmWrapperForImageClassification'],
  id2label: { 0: 'a', 1: 'b', 2: 'c' },
  pretrained_cfg: {
    input_size: [3, 8, 8],
    crop_pct: 0.9,
    interpolation: 'bicubic',
    mean: [0.4, 0.5, 0.6],
    std: [0.2, 0.2, 0.3],
  },
};
const TIMM_LINE =
  'image: { size: { shortest_edge: 8 }, crop_size: { width: 8, height: 8 }, resample: bicubic, image_mean: [0.4, 0.5, 0.6], image_std: [0.2, 0.2, 0.3] }';
const normalization = encodeModel({
  inputs: [
    { name: 'rows', type: 'FP32', shape: ['n', 3] },
    { name: 'model/normalization_1/Sub/y:0', type: 'FP32', shape: [1, 3] },
  ],
  outputs: [{ name: 'scores', type: 'FP32', shape: ['n', 3] }],
  nodes: [
    { op: 'Sub', inputs: ['rows', 'model/normalization_1/Sub/y:0'], outputs: ['centered'] },
    { op: 'Softmax', inputs: ['centered'], outputs: ['scores'] },
  ],
});

const FOLDERS: Readonly<Record<string, Record<string, string | Buffer>>> = {
  classify: {
    '1/model.onnx': classifier(image(8), { metadata: CLASSIFY }),
    'model.yaml': 'task: image-classification',
  },
  'classify-wide': {
    '1/model.onnx': classifier(image(8), { metadata: { ...CLASSIFY, imgsz: '[8, 16]' } }),
    'model.yaml': 'task: image-classification',
  },
  'classify-rgb': {
    '1/model.onnx': classifier(image(8), { metadata: CLASSIFY }),
    'model.yaml': 'task: image-classification\nimage: { color: rgb }',
  },
  'classify-described': {
    '1/model.onnx': classifier(image(8)),
    'model.yaml': `${YAML}image: { size: { shortest_edge: 8 }, crop_size: { width: 8, height: 8 } }`,
  },
  detect: { '1/model.onnx': detector, 'model.yaml': 'task: object-detection' },
  'detect-described': {
    '1/model.onnx': detector,
    'model.yaml': 'task: object-detection\nimage: { size: { width: 8, height: 8 } }\noutput: { layout: yolov8 }',
  },
  multiplied: { '1/model.onnx': divided('Mul', 1 / 255), 'model.yaml': `${YAML}image: { color: rgb }` },
  halved: { '1/model.onnx': divided('Div', 127.5), 'model.yaml': `${YAML}image: { color: rgb }` },
  'multiplied-once': { '1/model.onnx': divided('Mul', 1 / 255), 'model.yaml': `${YAML}image: { rescale_factor: 1 }` },
  scaled: { '1/model.onnx': divided('Mul', 0.5), 'model.yaml': `${YAML}image: { color: rgb }` },
  timm: {
    'config.json': JSON.stringify(TIMM),
    'model.onnx': classifier(image(8)),
    'model.yaml': 'image: { color: rgb }',
  },
  'timm-described': {
    'config.json': JSON.stringify(TIMM),
    'model.onnx': classifier(image(8)),
    'model.yaml': TIMM_LINE,
  },
  normalization: { '1/model.onnx': normalization, 'model.yaml': 'task: tabular-classification\nlabels: [a, b, c]' },
  marked: {
    'config.json': `\ufeff${JSON.stringify(TIMM)}`,
    'model.onnx': classifier(image(8)),
    'model.yaml': TIMM_LINE,
  },
};

let store: TestStore;
let app: TestApp;
let reasons: Record<string, string | null>;
beforeAll(async () => {
  store = await createStore();
  for (const [name, files] of Object.entries(FOLDERS)) await store.write(name, files);
  app = await startTestApp({ modelStore: store.folder });
  const { models } = await app.query('{ models(first: 50) { nodes { name versions { nodes { stateReason } } } } }');
  reasons = Object.fromEntries(models.nodes.map(({ name, versions }: Data) => [name, versions.nodes[0].stateReason]));
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function outputOf(model: string): Promise<Data> {
  const document = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { output {
    ... on Classification { classes(first: 3) { label score } }
    ... on Detections { items { label score box { xmin ymin xmax ymax } } } } } problem { message } } }`;
  const input = { image: { base64: (await gradient(24, 12).png().toBuffer()).toString('base64') } };
  const { predict } = await app.query(document, { input: { model, input, record: false } });
  expect(predict.problem).toBeNull();
  return predict.prediction.output;
}

test.each(['classify', 'classify-rgb'])('%s crops the center of an image, as Ultralytics does', async (name) => {
  expect(reasons[name]).toBeNull();
  expect(await outputOf(name)).toEqual(await outputOf('classify-described'));
});

test('an Ultralytics classifier of images that are not square must be described', () => {
  expect(reasons['classify-wide']).toMatch(
    /the graph classifies images of 16 x 8 pixels, but Ultralytics crops squares: set size, crop_size/,
  );
});

test('a detector of Ultralytics without fixed sizes has those of its metadata', async () => {
  expect(reasons['detect']).toBeNull();
  const found = await outputOf('detect');
  expect(found['items']).toHaveLength(2);
  expect(found).toEqual(await outputOf('detect-described'));
});

test.each(['multiplied', 'halved'])('a graph whose levels are %s needs a written rescale_factor', (name) => {
  expect(reasons[name]).toMatch(/the graph divides input "x".*set rescale_factor: 1 in image in model\.yaml/);
});

test.each(['multiplied-once', 'scaled'])('%s is READY', (name) => {
  expect(reasons[name]).toBeNull();
});

test('the preprocessing of timm is what model.yaml must repeat', () => {
  expect(reasons['timm']).toContain(
    `config.json: pretrained_cfg has the preprocessing of timm, which image in model.yaml must repeat: set ${TIMM_LINE}`,
  );
  expect(reasons['timm-described']).toBeNull();
});

test('constants of a Keras layer among the inputs are named', () => {
  expect(reasons['normalization']).toMatch(
    /"model\/normalization_1\/Sub\/y:0" are constants of a Keras Normalization layer/,
  );
});

test('a byte order mark is named', () => {
  expect(reasons['marked']).toBe('config.json begins with a byte order mark: save it as UTF-8 without one');
});
