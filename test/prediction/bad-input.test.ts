/** Every bad input gets a precise problem, and leaves nothing behind. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import type { SqliteFile } from '#src/storage/sqlite.js';
import { type Data, STORE, startTestApp, type TestApp } from '../support/app.js';
import { CRASHING_DIVISION, encodeModel, type TypeName } from '../support/onnx.js';
import { createStore, type TestStore } from '../support/store.js';
import {
  BAD_OPTIONS,
  BAD_TENSORS,
  BAD_TEXTS,
  BAD_TYPED_ROWS,
  BAD_TYPED_TENSORS,
  type BadInput,
  badImages,
  badRows,
  DEEP_INPUTS,
} from './bad-inputs.js';

const PREDICT = `mutation ($input: PredictInput!) { predict(input: $input) { prediction { id }
  problem { code message retryable ... on InvalidInput { problems { path code message expected received } } } } }`;
let store: TestStore;
let app: TestApp;
let cases: BadInput[];

beforeAll(async () => {
  store = await createStore();
  for (const name of ['breast-cancer-forest', 'fashion-mlp', 'spam-filter']) await copyModel(name);
  await store.write('division', {
    '1/model.onnx': encodeModel(CRASHING_DIVISION),
    'model.yaml':
      'example: { tensors: [{ name: a, datatype: INT32, shape: [1], data: [6] }, { name: b, datatype: INT32, shape: [1], data: [2] }] }',
  });
  await store.write('words', { '1/model.onnx': encodeModel(identity('words', 'BYTES', ['N'])) });
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

function identity(name: string, type: TypeName, shape: (string | number)[]) {
  return {
    inputs: [{ name, type, shape }],
    outputs: [{ name: 'y', type, shape }],
    nodes: [{ op: 'Identity', inputs: [name], outputs: ['y'] }],
  };
}

async function copyModel(name: string): Promise<void> {
  const files = ['README.md', 'model.yaml', '1/model.onnx'];
  const contents = await Promise.all(files.map((file) => readFile(path.join(STORE, name, file))));
  await store.write(name, Object.fromEntries(files.map((file, i) => [file, contents[i] as Buffer])));
}

async function allCases(): Promise<BadInput[]> {
  const { version } = await app.query('{ version(ref: "breast-cancer-forest") { signature { example } } }');
  const golden = JSON.parse(await readFile(path.join(STORE, 'fashion-mlp/1/golden.json'), 'utf8'));
  const images: string[] = golden.cases.flatMap((c: Data) => c.input.image?.base64 ?? []);
  const jpeg = images.find((text) => text.startsWith('data:image/jpeg'))?.split(',')[1] ?? '';
  const png = images.find((text) => text.startsWith('iVBOR')) ?? '';
  return [
    ...badRows(version.signature.example.row),
    ...BAD_TYPED_ROWS,
    ...BAD_TEXTS,
    ...badImages(png, jpeg, pixelBomb(30_000, 30_000)),
    ...BAD_TENSORS,
    ...BAD_TYPED_TENSORS,
    ...DEEP_INPUTS,
    ...BAD_OPTIONS,
  ];
}

/** A PNG that claims 900 million pixels in a few bytes. */
function pixelBomb(width: number, height: number): string {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([1, 0, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(Buffer.alloc(1_000));
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', data),
    chunk('IEND', Buffer.alloc(0)),
  ]).toString('base64');
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
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

/** Rows of every table of both databases, whatever tables there are, and the processes. */
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

/** Nothing came, or what came are bytes that only a worker could read. */
const cameNothing = ({ code, path: below }: BadInput) =>
  code === 'MISSING' || below === 'image/base64' || (code === 'WRONG_KIND' && below === 'tensors/0');

test('every bad input is answered with its code and path, what was expected and what came', async () => {
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
    expect(named.received !== null || cameNothing(bad)).toBe(true);
    expect(JSON.stringify(answer)).not.toMatch(/errorId|INTERNAL|undefined/);
  }
});

test('at least sixty distinct pairs of code and path are provoked', () => {
  expect(new Set(cases.map(({ code, path: below }) => `${code} ${below}`)).size).toBeGreaterThanOrEqual(60);
});

test('bad inputs leave every table as it was and every worker alive', async () => {
  const before = await state();

  for (const bad of cases) await send(bad);

  expect(Object.keys(before.tables[0])).toContain('version_dataset');
  expect(await state()).toEqual(before);
});

test('a bad batch is refused as a whole, a bad element of one alone', async () => {
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

test('what GraphQL itself cannot coerce is BAD_USER_INPUT before anything runs', async () => {
  for (const input of [{ text: 'a', row: {} }, {}, { text: null }, { text: 5 }, { sound: 'x' }]) {
    const { status, errors } = await app.send(PREDICT, { input: { model: 'spam-filter', input } });

    expect(status).toBe(400);
    expect(errors?.[0]?.extensions['code']).toBe('BAD_USER_INPUT');
  }
});
