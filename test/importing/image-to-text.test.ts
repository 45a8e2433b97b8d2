/** Lines of text are read as text recognizers of PaddleOCR read them: greedy CTC over columns of the image. */
import sharp from 'sharp';
import { lineSize, paddedSize, workOfImage } from '#src/tasks/work.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { createStore, type TestStore } from '../support/model-store.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { __typename ... on Text { text score } } } problem { code message } } }`;
const PREDICT_MANY = `mutation ($input: PredictManyInput!) { predictMany(input: $input) {
  results { prediction { output { ... on Text { text score } } } } } }`;
const STATES = '{ models(first: 20) { nodes { name version { state } versions { nodes { stateReason } } } } }';

const READER = huggingFaceFolders()['tiny-reader'] as Record<string, string | Buffer>;
/** Levels of gray: black, the level of "b", and white. */
const LEVELS: Readonly<Record<string, number>> = { a: 0, b: 128, ' ': 255 };
const WIDTH_OF_A_STEP = 4;
const HEIGHT = 8;

/** A line of text for the tiny reader, with a step for each character; a space stands for "no character". */
async function lineOf(text: string, height = HEIGHT): Promise<string> {
  const width = WIDTH_OF_A_STEP * text.length;
  const pixels = Buffer.from(
    Array.from(
      { length: width * HEIGHT },
      (_, i) => LEVELS[text[Math.floor((i % width) / WIDTH_OF_A_STEP)] as string] ?? 0,
    ),
  );
  const image = sharp(pixels, { raw: { width, height: HEIGHT, channels: 1 } });
  const sized = height === HEIGHT ? image : image.resize(width, height, { fit: 'fill', kernel: 'nearest' });
  return (await sized.png().toBuffer()).toString('base64');
}

const golden = (text: string, expect: object, image: string) => ({
  '1/golden.json': JSON.stringify({
    source: 'by hand',
    tolerance: 1e-5,
    cases: [{ input: { image: { base64: image } }, expect: { text, ...expect } }],
  }),
});

let store: TestStore;
let app: TestApp;
beforeAll(async () => {
  store = await createStore();
  await store.write('reader', READER);
  const yaml = READER['model.yaml'] as string;
  // The order of the scores is that of the graph: the blank is now "b", and the white level is a character.
  await store.write('blank-last', {
    ...READER,
    'model.yaml': `${yaml.replace('[a, b]', '[w, a]')}output: { blank: last }\n`,
  });
  const image = await lineOf('ab a');
  await store.write('proved', { ...READER, ...golden('aba', { score: 0.99999 }, image) });
  await store.write('other-text', { ...READER, ...golden('abaa', {}, image) });
  await store.write('other-score', { ...READER, ...golden('aba', { score: 0.5 }, image) });
  await store.write('no-text', {
    ...READER,
    '1/golden.json': `{ "source": "by hand", "tolerance": 1, "cases": [{ "input": { "image": { "base64": "${image}" } }, "expect": {} }] }`,
  });
  app = await startTestApp({ modelStore: store.folder });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function read(image: string, model = 'reader'): Promise<Data> {
  const { predict } = await app.query(PREDICT, { input: { model, input: { image: { base64: image } } } });
  expect(predict.problem).toBeNull();
  return predict.prediction.output;
}

/** Of a character whose level is exactly that of a step. */
const SURE = {
  a: 1 / (1 + Math.exp(-50) + Math.exp(-50 * (128 / 255) ** 2)),
  b: 1 / (1 + Math.exp(-50 * (127 / 255) ** 2) + Math.exp(-50 * (128 / 255) ** 2)),
};

test.each([
  ['ab', 'ab', (SURE.a + SURE.b) / 2],
  ['aabb', 'ab', (SURE.a + SURE.b) / 2],
  ['a aab', 'aab', (2 * SURE.a + SURE.b) / 3],
  ['  b  ', 'b', SURE.b],
])('the columns "%s" are the text "%s", with the mean probability of its characters', async (columns, text, score) => {
  expect(await read(await lineOf(columns))).toEqual({ __typename: 'Text', text, score: expect.closeTo(score, 6) });
});

test('an image without text has an empty text and no score', async () => {
  expect(await read(await lineOf('      '))).toEqual({ __typename: 'Text', text: '', score: null });
});

test('the blank may be the last of the scores', async () => {
  expect(await read(await lineOf('a ba'), 'blank-last')).toMatchObject({ text: 'awa' });
});

test('a line is resized to the height of the graph, and a narrow one is padded at the right', async () => {
  // Twice as high and as wide: two steps for each of the two characters become one.
  expect(await read(await lineOf('aabb', 16))).toMatchObject({ text: 'ab' });
  // Padding with the value of white adds no character.
  expect(await read(await lineOf('a'))).toMatchObject({ text: 'a' });
});

test('a line that is too wide is squeezed', async () => {
  // 64 pixels are 16 steps, in which 20 steps of 4 pixels have room only if they are narrower.
  expect(await read(await lineOf(`${'a'.repeat(10)}${'b'.repeat(10)}`))).toMatchObject({ text: 'ab' });
});

test('lines of different widths get the same answers in a batch', async () => {
  const columns = ['ab', 'a b a b', 'bbbbbbbbbb a', 'a', '    ', 'ab', 'b a'];
  const inputs = await Promise.all(columns.map(async (one) => ({ image: { base64: await lineOf(one) } })));

  const { predictMany } = await app.query(PREDICT_MANY, { input: { model: 'reader', inputs } });

  expect(predictMany.results.map(({ prediction }: Data) => prediction.output.text)).toEqual([
    'ab',
    'abab',
    'ba',
    'a',
    '',
    'ab',
    'ba',
  ]);
});

test('golden cases prove the text and its score', async () => {
  const { models } = await app.query(STATES);
  const reasons = Object.fromEntries(
    models.nodes.map(({ name, version, versions }: Data) => [name, version?.state ?? versions.nodes[0].stateReason]),
  );

  expect(reasons).toEqual({
    reader: 'READY',
    'blank-last': 'READY',
    proved: 'READY',
    'other-text': 'golden.json: case 0 differs from by hand: text is "aba", expected "abaa"',
    'other-score': expect.stringMatching(
      /^golden\.json: case 0 differs from by hand: score is 0\.999\d+, expected 0\.5$/,
    ),
    'no-text': 'golden.json: case 0 differs from by hand: expect has no text',
  });
});

// RapidOCR: the tensor has int(48 × max(320 / 48, w / h)) columns, of which the image fills min(ceil(48 × w / h), all).
test.each([
  [{ width: 100, height: 48 }, 100, 320],
  [{ width: 100, height: 47 }, 103, 320],
  [{ width: 321, height: 48 }, 321, 321],
  [{ width: 1000, height: 31 }, 1548, 1548],
  [{ width: 9, height: 1000 }, 1, 320],
  [{ width: 20_000, height: 48 }, 4096, 4096],
])('an image of %p has %d columns in a tensor of %d, as in RapidOCR', (source, content, tensor) => {
  const resize = { kind: 'height', height: 48, minWidth: 320, maxWidth: 4096 } as const;
  const size = lineSize(source, resize);

  expect(size).toEqual({ width: content, height: 48 });
  expect(paddedSize(size, { width: 320, height: 48 }, resize)).toEqual({ width: tensor, height: 48 });
  const spec = { resize, pad: { width: 320, height: 48, level: 0 }, crop: null } as unknown as Parameters<
    typeof workOfImage
  >[1];
  expect(workOfImage(source, spec).work).toBe(48 * tensor);
});
