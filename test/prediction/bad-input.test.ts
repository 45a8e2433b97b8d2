/** Every bad input is answered with a precise problem and leaves nothing behind. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import type { SqliteFile } from '#src/storage/sqlite.js';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';
import type { Folder } from '../support/hugging-face/folder.js';
import { huggingFaceFolders } from '../support/hugging-face.js';
import { animated, gradient, withAppended } from '../support/images.js';
import { createStore, type TestStore } from '../support/model-store.js';
import { CRASHING_DIVISION, encodeModel, identity } from '../support/onnx.js';
import {
  BAD_OPTIONS,
  BAD_STRINGS,
  BAD_TENSORS,
  BAD_TEXTS,
  BAD_TYPED_ROWS,
  BAD_TYPED_TENSORS,
  type BadInput,
  badImages,
  badRows,
  DEEP_INPUTS,
  type Images,
} from './bad-inputs.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id }
  problem { code message retryable ... on InvalidInput { problems { path code message expected received } } } } }`;
let store: TestStore;
let app: TestApp;
let cases: BadInput[];

beforeAll(async () => {
  store = await createStore();
  const versions = { 'breast-cancer-forest': 1, 'fashion-mlp': 1, 'spam-filter': 2 };
  for (const [name, version] of Object.entries(versions)) await copyModel(name, version);
  await store.write('division', {
    '1/model.onnx': encodeModel(CRASHING_DIVISION),
    'model.yaml':
      'example: { tensors: [{ name: a, datatype: INT32, shape: [1], data: [6] }, { name: b, datatype: INT32, shape: [1], data: [2] }] }',
  });
  const { 'tiny-mlm': fillings, 'tiny-yolos': objects } = huggingFaceFolders();
  await store.write('tiny-mlm', fillings as Folder);
  await store.write('tiny-yolos', objects as Folder);
  await store.write('words', { '1/model.onnx': encodeModel(identity('words', 'BYTES', ['N'])) });
  await store.write('notes', {
    '1/model.onnx': encodeModel(identity('x', 'BYTES', ['N', 1])),
    'model.yaml':
      'task: tabular-classification\ncolumns: [{ name: note, type: text, example: a }]\noutput: { label: y }',
  });
  await store.write('longs', { '1/model.onnx': encodeModel(identity('x', 'INT64', ['N'])) });
  await store.write('flags', { '1/model.onnx': encodeModel(identity('x', 'BOOL', ['N'])) });
  await store.write('unbounded', {
    '1/model.onnx': encodeModel(identity('x', 'FP32', ['N', 2])),
    'model.yaml': `task: tabular-classification
labels: ["no", "yes"]
columns: [{ name: p, type: number, example: 1 }, { name: q, type: number, example: 2 }]
output: { scores: y }`,
  });
  await store.write('typed', {
    '1/model.onnx': encodeModel(identity('x', 'FP32', ['N', 2])),
    'model.yaml': `task: tabular-classification
labels: ["no", "yes"]
columns: [{ name: count, type: integer, minimum: 0, example: 1 }, { name: "on", type: boolean, example: true }]
output: { scores: y }`,
  });
  app = await startTestApp({ modelStore: store.folder });
  cases = await allCases();
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

async function copyModel(name: string, version: number): Promise<void> {
  const files = ['README.md', 'model.yaml', `${version}/model.onnx`];
  const contents = await Promise.all(files.map((file) => readFile(path.join(STORE, name, file))));
  await store.write(name, Object.fromEntries(files.map((file, i) => [file, contents[i] as Buffer])));
}

async function allCases(): Promise<BadInput[]> {
  const { version } = await app.query('{ version(ref: "breast-cancer-forest") { signature { example } } }');
  return [
    ...badRows(version.signature.example.row),
    ...BAD_TYPED_ROWS,
    ...BAD_TEXTS,
    ...BAD_STRINGS,
    ...badImages(await images()),
    ...BAD_TENSORS,
    ...BAD_TYPED_TENSORS,
    ...DEEP_INPUTS,
    ...BAD_OPTIONS,
  ];
}

async function images(): Promise<Images> {
  const image = () => gradient(24, 16);
  const [png, jpeg, webp, ...others] = await Promise.all([
    image().png().toBuffer(),
    image().jpeg().toBuffer(),
    image().webp().toBuffer(),
    animated('gif'),
    image().tiff().toBuffer(),
    image().avif().toBuffer(),
  ]);
  return { png, jpeg, webp, others };
}

async function send({ model, input, raw, more }: BadInput): Promise<Data> {
  const variables = JSON.stringify({ input: { model, input: raw ? '@' : input, ...more } });
  const body = `{"query":${JSON.stringify(PREDICT)},"variables":${raw ? variables.replace('"@"', () => raw) : variables}}`;
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  return response.json();
}

/** The number of rows in every table of both databases, and the worker processes. */
async function state(): Promise<Data> {
  const { catalogFile, predictionsFile } = app.app.databases;
  const { engine } = await app.query('{ engine { workers { pid restarts } } }');
  return { tables: [await rowCounts(catalogFile), await rowCounts(predictionsFile)], workers: engine.workers };
}

async function rowCounts(file: SqliteFile): Promise<Data> {
  const tables = await file.read("select name from sqlite_master where type = 'table'", []);
  const counts = tables.rows.map(async ({ name }) => [
    name,
    (await file.read(`select count(*) as n from "${name}"`, [])).rows[0]?.['n'],
  ]);
  return Object.fromEntries(await Promise.all(counts));
}

const pathOf = ({ path: below }: BadInput): string[] =>
  below.startsWith('/') ? ['input', below.slice(1)] : ['input', 'input', ...(below === '' ? [] : below.split('/'))];

/** Whether `received` may be null: nothing was sent, or bytes that only a worker can decode. */
const hasNothingToShow = ({ code, path: below }: BadInput) =>
  code === 'MISSING' || below === 'image/base64' || (code === 'WRONG_KIND' && below === 'tensors/0');

test('every bad input is answered with its code, its path, what was expected and what was received', async () => {
  for (const bad of cases) {
    const answer = await send(bad);
    const problem = answer.data?.predict?.problem;
    const named = problem?.problems?.find(
      (p: Data) => p.code === bad.code && JSON.stringify(p.path) === JSON.stringify(pathOf(bad)),
    );

    expect({
      bad: `${bad.code} ${bad.path}`,
      answer: named ? 'as expected' : JSON.stringify(answer).slice(0, 600),
    }).toEqual({
      bad: `${bad.code} ${bad.path}`,
      answer: 'as expected',
    });
    expect(problem).toMatchObject({ code: 'INVALID_INPUT', retryable: false });
    expect(named.message.length).toBeGreaterThan(8);
    expect(named.expected).not.toBeNull();
    expect(named.received !== null || hasNothingToShow(bad)).toBe(true);
    expect(JSON.stringify(answer)).not.toMatch(/errorId|INTERNAL|undefined/);
  }
});

test('the bad inputs cover at least 60 different pairs of code and path', () => {
  expect(new Set(cases.map(({ code, path: below }) => `${code} ${below}`)).size).toBeGreaterThanOrEqual(60);
});

test('bad inputs change no table and end no worker', async () => {
  const before = await state();

  for (const bad of cases) await send(bad);

  expect(Object.keys(before.tables[0])).toContain('version_dataset');
  expect(await state()).toEqual(before);
});

test('a batch of a wrong size is refused as a whole; a bad input of a batch fails alone', async () => {
  const many = `mutation ($input: PredictManyInput!) { predictMany(input: $input) {
    results { prediction { id } problem { code ... on InvalidInput { problems { path code } } } } problem { code ... on InvalidInput { problems { path code } } } } }`;
  const batch = async (inputs: unknown[]) =>
    (await app.query(many, { input: { model: 'spam-filter', inputs, record: false } })).predictMany;

  const empty = await batch([]);
  const long = await app.send(many, {
    input: { model: 'spam-filter', inputs: Array(1_001).fill({ text: 'a' }), record: false },
  });
  const mixed = await batch([{ text: 'a' }, { text: '' }, { text: 'b' }]);

  expect(empty.problem.problems).toEqual([{ path: ['input', 'inputs'], code: 'EMPTY' }]);
  expect(long.data?.predictMany.problem.problems).toEqual([{ path: ['input', 'inputs'], code: 'TOO_LARGE' }]);
  expect(mixed.results.map(({ problem }: Data) => problem?.problems[0].path ?? null)).toEqual([
    null,
    ['input', 'inputs', '1', 'text'],
    null,
  ]);
});

test('an input that GraphQL cannot coerce is refused as BAD_USER_INPUT', async () => {
  for (const input of [{ text: 'a', row: {} }, {}, { text: null }, { text: 5 }, { sound: 'x' }]) {
    const { status, errors } = await app.send(PREDICT, { input: { model: 'spam-filter', input } });

    expect(status).toBe(400);
    expect(errors?.[0]?.extensions['code']).toBe('BAD_USER_INPUT');
  }
});

test.each([
  ['classes', 'first', [0, -1], [1, 100]],
  ['classes', 'minScore', [-0.1], [0, 1]],
  ['objects', 'threshold', [0, 0.04, 1.1], [0.05, 1, null]],
  ['fillings', 'first', [0, 21], [1, 20]],
])('%s(%s:) outside its documented range is BAD_USER_INPUT', async (list, argument, beyond, within) => {
  const codesOf = (values: readonly (number | null)[]) =>
    Promise.all(
      values.map(async (value) => {
        const { data, errors } = await app.send(LISTS[list] as string, { ...(await listed(list)), [argument]: value });
        return errors?.[0]?.extensions['code'] ?? data?.predict.problem?.message ?? null;
      }),
    );

  expect(await codesOf(beyond)).toEqual(beyond.map(() => 'BAD_USER_INPUT'));
  expect(await codesOf(within)).toEqual(within.map(() => null));
});

const listOf = (variables: string, fields: string) =>
  `mutation ($input: PredictInput!, ${variables}) { predict(input: $input) { prediction { output { ${fields} } } problem { message } } }`;

const LISTS: Readonly<Record<string, string>> = {
  classes: listOf(
    '$first: Int! = 5, $minScore: Float! = 0',
    '... on Classification { classes(first: $first, minScore: $minScore) { label } }',
  ),
  objects: listOf('$threshold: Float', '... on Detections { items(threshold: $threshold) { label } }'),
  fillings: listOf('$first: Int! = 5', '... on Fillings { items(first: $first) { text } }'),
};

/** An input whose answer has this list. */
async function listed(list: string): Promise<Data> {
  const image = async () => ({ image: { base64: (await gradient(64, 64).png().toBuffer()).toString('base64') } });
  const inputs: Data = {
    classes: async () => ({ model: 'spam-filter', input: { text: 'You have won' } }),
    objects: async () => ({ model: 'tiny-yolos', input: await image() }),
    fillings: async () => ({ model: 'tiny-mlm', input: { text: 'Paris is the [MASK] of France.' } }),
  };
  return { input: { ...(await inputs[list]()), record: false } };
}

/** The scores of an image, in order of label. */
async function scoresOf(image: Buffer): Promise<number[]> {
  const input = { model: 'fashion-mlp', input: { image: { base64: image.toString('base64') } }, record: false };
  const { prediction, problem } = (await app.query(CLASSIFY, { input })).predict;
  expect(problem).toBeNull();
  return prediction.output.classes
    .toSorted((a: Data, b: Data) => (a.label < b.label ? -1 : 1))
    .map((c: Data) => c.score);
}

const CLASSIFY = `mutation ($input: PredictInput!) { predict(input: $input) {
  prediction { output { ... on Classification { classes(first: 10) { label score } } } } problem { message } } }`;

test('bytes appended to an image and later frames of an animation are ignored', async () => {
  const still = await gradient(24, 16).png().toBuffer();
  const expected = await scoresOf(still);

  const odd = [...(['zip', 'pdf', 'html'] as const).map((kind) => withAppended(still, kind)), await animated('webp')];
  for (const image of odd) expect(await scoresOf(image)).toEqual(expected);
});

test('a CMYK image is converted to RGB', async () => {
  const screen = await scoresOf(await gradient(24, 16).jpeg().toBuffer());

  const print = await scoresOf(await gradient(24, 16).toColourspace('cmyk').jpeg().toBuffer());

  for (const [i, score] of print.entries()) expect(Math.abs(score - (screen[i] as number))).toBeLessThan(0.1);
});

test.each([
  [3, 180],
  [6, 90],
  [8, 270],
])('an image with EXIF orientation %i is rotated upright', async (orientation, angle) => {
  const upright = await scoresOf(await gradient(16, 16).png().toBuffer());
  const asStored = await gradient(16, 16)
    .rotate(360 - angle)
    .png()
    .toBuffer();

  const turned = await scoresOf(
    await sharp(asStored).withMetadata({ orientation }).webp({ lossless: true }).toBuffer(),
  );
  const untold = await scoresOf(asStored);

  expect(turned).toEqual(upright);
  expect(untold).not.toEqual(upright);
});
