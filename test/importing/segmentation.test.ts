/** Image segmentation gives each pixel the class that transformers gives it: see `goldens/make-masks.py`. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { type ImageSize } from '#src/tasks/image-size.js';
import { MAX_MASK_VALUES, MAX_RUN_LENGTHS, maskSizeOf, masksOf } from '#src/tasks/masks.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { gradient } from '../support/images.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { encodeModel, TYPE } from '../support/onnx.js';

interface Case {
  readonly labels: number;
  readonly cells: readonly [number, number];
  /** Height and width of the image sent. */
  readonly source: readonly [number, number];
  readonly scores: readonly number[];
  /** A letter for each pixel: a for the first label. */
  readonly classes: string;
}
const cases: readonly Case[] = JSON.parse(readFileSync(path.resolve('test/importing/goldens/masks.json'), 'utf8'));

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Masks { width height items { label pixelCount runLengths } } } } problem { code message } } }`;

type Layout = 'NCHW' | 'NHWC' | 'NHW';

/** A graph with constant scores; for NHW, with the classes that are the strongest in each cell. */
function constantScores({ labels, cells: [height, width], scores }: Case, layout: Layout): Buffer {
  const out = layout === 'NCHW' ? 'scores' : 'moved';
  const more = {
    NCHW: [],
    NHWC: [{ op: 'Transpose', inputs: ['scores'], outputs: [out], attributes: [{ name: 'perm', ints: [0, 2, 3, 1] }] }],
    NHW: [
      {
        op: 'ArgMax',
        inputs: ['scores'],
        outputs: [out],
        attributes: [
          { name: 'axis', int: 1 },
          { name: 'keepdims', int: 0 },
        ],
      },
    ],
  }[layout];
  const shape = { NCHW: [1, labels, height, width], NHWC: [1, height, width, labels], NHW: [1, height, width] }[layout];
  return encodeModel({
    inputs: [{ name: 'x', type: 'UINT8', shape: [1, 16, 16, 3] }],
    outputs: [{ name: out, type: layout === 'NHW' ? 'INT64' : 'FP32', shape }],
    nodes: [
      { op: 'Cast', inputs: ['x'], outputs: ['f'], attributes: [{ name: 'to', int: TYPE.FP32 }] },
      { op: 'ReduceSum', inputs: ['f'], outputs: ['sum'], attributes: [{ name: 'keepdims', int: 0 }] },
      { op: 'Mul', inputs: ['sum', 'zero'], outputs: ['nothing'] },
      { op: 'Add', inputs: ['constant', 'nothing'], outputs: ['scores'] },
      ...more,
    ],
    floats: [
      { name: 'zero', shape: [], data: [0] },
      { name: 'constant', shape: [1, labels, height, width], data: scores },
    ],
  });
}

/** A repository whose processor crops 4 x 4 pixels out of 8 x 4. The left half of the scores is a, the right one b. */
const CROPPED = {
  'config.json': JSON.stringify({
    architectures: ['MobileViTForSemanticSegmentation'],
    model_type: 'mobilevit',
    id2label: { 0: 'a', 1: 'b' },
  }),
  'preprocessor_config.json': JSON.stringify({ size: 4, crop_size: 4 }),
  'onnx/model.onnx': encodeModel({
    inputs: [{ name: 'pixel_values', type: 'FP32', shape: [1, 3, 4, 4] }],
    outputs: [{ name: 'logits', type: 'FP32', shape: [1, 2, 1, 2] }],
    nodes: [
      { op: 'ReduceSum', inputs: ['pixel_values'], outputs: ['sum'], attributes: [{ name: 'keepdims', int: 0 }] },
      { op: 'Mul', inputs: ['sum', 'zero'], outputs: ['nothing'] },
      { op: 'Add', inputs: ['constant', 'nothing'], outputs: ['logits'] },
    ],
    floats: [
      { name: 'zero', shape: [], data: [0] },
      { name: 'constant', shape: [1, 2, 1, 2], data: [1, 0, 0, 1] },
    ],
  }),
};

/** A graph that returns one number for each pixel. */
function oneChannel(type: 'FP32' | 'INT64'): Buffer {
  return encodeModel({
    inputs: [{ name: 'pixel_values', type: 'FP32', shape: [1, 3, 4, 4] }],
    outputs: [{ name: 'masks', type, shape: [1, 1, 4, 4] }],
    nodes: [
      { op: 'ReduceSum', inputs: ['pixel_values', 'channels'], outputs: ['sum'] },
      type === 'FP32'
        ? { op: 'Sigmoid', inputs: ['sum'], outputs: ['masks'] }
        : { op: 'Cast', inputs: ['sum'], outputs: ['masks'], attributes: [{ name: 'to', int: 7 }] },
    ],
    ints: [{ name: 'channels', shape: [1], data: [1] }],
  });
}

const labelsYaml = (count: number) =>
  `labels: [${Array.from({ length: count }, (_, i) => String.fromCharCode(97 + i)).join(', ')}]\n`;
const YAML = 'task: image-segmentation\nimage: {}\n';

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  const write = (name: string, graph: Buffer, yaml: string) =>
    store.write(name, { '1/model.onnx': graph, 'model.yaml': YAML + yaml });
  for (const [i, one] of cases.entries())
    for (const layout of ['NCHW', 'NHWC', 'NHW'] as const)
      await write(`${layout}-${i}`.toLowerCase(), constantScores(one, layout), labelsYaml(one.labels));
  const [first] = cases as [Case];
  await store.write('cropped', CROPPED);
  await write('too-few-labels', constantScores(first, 'NCHW'), labelsYaml(2));
  await write('one-channel', oneChannel('FP32'), labelsYaml(2));
  await write('kept-dimension', oneChannel('INT64'), labelsYaml(2));
  await write('class-without-label', constantScores(first, 'NHW'), labelsYaml(2));
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function segment(model: string, [height, width]: readonly [number, number]): Promise<Data> {
  const base64 = (await gradient(width, height).png().toBuffer()).toString('base64');
  const { predict } = await app.query(PREDICT, { input: { model, input: { image: { base64 } } } });
  expect(predict.problem).toBeNull();
  return predict.prediction.output;
}

/** The letter of each pixel, from the masks. */
function lettersOf({ width, height, items }: Data): string {
  const letters: string[] = Array(width * height).fill('.');
  for (const { label, runLengths } of items) {
    let at = 0;
    for (const [i, run] of (runLengths as number[]).entries()) {
      if (i % 2 === 1) letters.fill(label, at, at + run);
      at += run;
    }
  }
  return letters.join('');
}

test('a mask is read as a PNG that is opaque where the class is, until the prediction is deleted', async () => {
  const query = PREDICT.replace('prediction {', 'prediction { id').replace(
    'runLengths',
    'runLengths picture { url width height mediaType }',
  );
  const base64 = (await gradient(21, 13).png().toBuffer()).toString('base64');
  const { id, output } = (await app.query(query, { input: { model: 'cropped', input: { image: { base64 } } } })).predict
    .prediction;
  const { width, height, items } = output;
  let letters: string[] = Array(width * height).fill('.');
  for (const { label, picture } of items) {
    expect(picture).toMatchObject({ width, height, mediaType: 'image/png' });
    const png = Buffer.from(await (await fetch(app.url + picture.url)).arrayBuffer());
    const { data, info } = await sharp(png).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([width, height, 4]);
    letters = letters.map((letter, i) => (data[4 * i + 3] === 255 ? label : letter));
  }
  const other = items[0].picture.url.replace('mask-0', 'mask-1');
  const unrecorded = await app.query(query, {
    input: { model: 'cropped', record: false, input: { image: { base64 } } },
  });
  const statuses = [(await fetch(app.url + items[0].picture.url)).status, (await fetch(app.url + other)).status];
  await app.query('mutation ($id: ID!) { deletePredictions(ids: [$id]) { erasure { deleted } } }', { id });

  expect(letters.join('')).toBe(lettersOf(output));
  expect(unrecorded.predict.prediction.output.items[0].picture).toBeNull();
  expect(statuses).toEqual([200, 404]);
  expect((await fetch(app.url + items[0].picture.url)).status).toBe(404);
});

test.each([...cases.entries()])('case %#: scores are interpolated to the image sent', async (i, one) => {
  for (const layout of ['nchw', 'nhwc']) {
    const output = await segment(`${layout}-${i}`, one.source);

    expect([output.height, output.width]).toEqual(one.source);
    expect(lettersOf(output)).toBe(one.classes);
    const counts = output.items.map(({ pixelCount }: Data) => pixelCount);
    expect(counts.reduce((sum: number, count: number) => sum + count, 0)).toBe(one.classes.length);
  }
});

test('classes that the graph returns are those of the nearest cell', async () => {
  const [{ cells, scores, labels }] = cases as [Case];
  const [height, width] = cells;
  const output = await segment('nhw-0', cells);

  const strongest = Array.from({ length: height * width }, (_, cell) => {
    const ofCell = Array.from({ length: labels }, (_, label) => scores[label * height * width + cell] as number);
    return 'abc'[ofCell.indexOf(Math.max(...ofCell))];
  });
  expect(lettersOf(output)).toBe(strongest.join(''));
});

test('scores of a repository are stretched to the whole image, as by transformers, also if the image was cropped', async () => {
  const output = await segment('cropped', [4, 8]);

  expect(lettersOf(output)).toBe('aaaabbbb'.repeat(4));
});

test.each([
  ['too-few-labels', /as floating-point numbers, or \[N, height, width\] as integers: list all classes as labels/],
  ['one-channel', /export two, such as torch\.cat\(\[1 - p, p\], 1\)/],
  ['kept-dimension', /export argmax without keepdim$/],
  ['class-without-label', /class 2, but there are 2 labels: list all classes/],
] as const)('%s is refused with what to change', async (name, reason) => {
  const { model } = await app.query(
    'query ($name: String!) { model(name: $name) { versions(first: 1) { nodes { stateReason } } } }',
    { name },
  );

  expect(model.versions.nodes[0].stateReason).toMatch(reason);
});

test('masks are smaller than an image with many pixels, labels or run lengths', () => {
  expect(maskSizeOf({ width: 4_000, height: 4_000 }, 2)).toEqual({ width: 1_024, height: 1_024 });
  const { width, height } = maskSizeOf({ width: 1_000, height: 1_000 }, 150);
  expect(width * height * 150).toBeLessThanOrEqual(MAX_MASK_VALUES);
  const chess = ({ width, height }: ImageSize) => Uint16Array.from({ length: width * height }, (_, i) => i % 2);

  const masks = masksOf({ width: 1_000, height: 1_000 }, ['even', 'odd'], chess);

  expect([masks.width, masks.height]).toEqual([250, 250]);
  expect(masks.items.reduce((sum, { runLengths }) => sum + runLengths.length, 0)).toBeLessThanOrEqual(MAX_RUN_LENGTHS);
});
