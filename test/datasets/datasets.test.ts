/** Datasets: rows are read, checked and stored, and read again in pages, over real HTTP. */
import { truncate } from 'node:fs/promises';
import path from 'node:path';
import { SYSTEM } from '#src/access/principal.js';
import { findDatasetsByNames } from '#src/catalog/dataset.queries.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { PublishingClient } from '../support/publishing-client.js';

const REGISTER = `mutation ($input: RegisterDatasetInput!) { registerDataset(input: $input) {
  dataset { id name title rowCount sha256 rowsSha256 rowBytes visibility target columns { name type required categories } }
  problem { code message ... on InvalidInput { problems { path code message expected received } } } } }`;
const DELETE = `mutation ($input: DeleteDatasetInput!) { deleteDataset(input: $input) {
  deletedId problem { code ... on InvalidInput { problems { path message } } } } }`;
const ROWS = `query ($name: String!, $first: Int!, $after: String) { dataset(name: $name) { rowCount
  rows(first: $first, after: $after) { nodes { number values target } pageInfo { hasNextPage endCursor } totalCount } } }`;

let app: TestApp;
let admin: PublishingClient;
let mine: PublishingClient;
let theirs: PublishingClient;
beforeAll(async () => {
  app = await startTestApp();
  const anyone = new PublishingClient(() => app.url, null);
  admin = await anyone.withKey('ops', ['ADMIN']);
  mine = await admin.withKey('mine', ['EVALUATOR']);
  theirs = await admin.withKey('theirs', ['PUBLISHER']);
});
afterAll(() => app.stop());

type More = Readonly<Record<string, unknown>>;

async function register(name: string, data: object, more: More = {}, client = mine): Promise<Data> {
  const input = { name, task: 'TABULAR_CLASSIFICATION', target: 'label', data, ...more };
  return (await client.send(REGISTER, { input })).registerDataset;
}

const csv = (content: string) => ({ format: 'CSV', content });
const jsonLines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

test('the same rows as CSV, JSON Lines and Parquet are the same dataset', async () => {
  const rows = [
    { a: 1.5, b: 'x, "y"', label: 'yes' },
    { a: 2, b: null, label: 'no' },
    { a: null, b: 'é\n😀', label: 'yes' },
  ];
  const parquet = await mine.upload(Buffer.from(PARQUET, 'base64'));
  const found = [
    await register('rows-csv', csv('\ufeffa,b,label\r\n1.5,"x, ""y""",yes\r\n2,,no\r\n,"é\n😀",yes\r\n')),
    await register('rows-json', { format: 'JSON_LINES', upload: await mine.upload(jsonLines(rows)) }),
    await register('rows-parquet', { format: 'PARQUET', upload: parquet }),
  ];

  expect(found.map(({ problem }) => problem)).toEqual([null, null, null]);
  const [first, ...others] = found.map(
    ({ dataset: { name: _, id: _id, title: _title, sha256: _sha256, ...rest } }) => rest,
  );
  expect(others).toEqual([first, first]);
  expect(first).toMatchObject({
    rowCount: 3,
    visibility: 'PRIVATE',
    columns: [
      { name: 'a', type: 'NUMBER', required: false, categories: [] },
      { name: 'b', type: 'TEXT', required: false, categories: [] },
      { name: 'label', type: 'CATEGORY', required: true, categories: ['no', 'yes'] },
    ],
  });
  const { dataset } = await mine.send(ROWS, { name: 'rows-parquet', first: 10 });
  expect(dataset.rows.nodes).toEqual(rows.map((values, i) => ({ number: i + 1, values, target: values.label })));
  expect(dataset.rows.totalCount).toBe(3);
});

/** The text, and the only problem that it has: row, column, code and what the message says. */
type Broken = readonly [
  what: string,
  content: string,
  place: readonly string[],
  code: string,
  message: RegExp,
  more?: More,
];
const BROKEN: readonly Broken[] = [
  [
    'a quote that is never closed',
    'a,label\n1,yes\n2,"no\n3,yes\n',
    ['rows', '2'],
    'UNREADABLE',
    /row 2, line 4: a quote is opened and never/,
  ],
  ['a quote inside of a value', 'a,label\n1,yes\n2,n"o\n', ['rows', '2'], 'UNREADABLE', /line 3.*in quotes/],
  ['a row that is too long', 'a,label\n1,yes\n2,no,3\n', ['rows', '2'], 'WRONG_SHAPE', /another number of values/],
  [
    'a value of another type',
    `a,label\n${numbered(30, (i) => (i === 17 ? 'oops' : i))}`,
    ['rows', '18', 'a'],
    'WRONG_TYPE',
    /row 18, line 19/,
  ],
  ['no rows', 'a,label\n', [], 'EMPTY', /no rows/],
  ['no header', '', [], 'EMPTY', /no header/],
  ['one class', 'a,label\n1,yes\n2,yes\n', ['columns', 'label'], 'WRONG_KIND', /the same label/],
  ['a row that is there twice', 'a,label\n1,yes\n2,no\n1,yes\n', ['rows', '3'], 'WRONG_KIND', /same as row 1/],
  ['a target that is no column', 'a,b\n1,yes\n2,no\n', ['columns', 'label'], 'UNKNOWN_NAME', /not a column/],
  ['a label that is missing', 'a,label\n1,yes\n2,\n3,no\n', ['rows', '2', 'label'], 'MISSING', /missing/],
  [
    'a target that is no number',
    'a,label\n1,x\n2,y\n',
    ['columns', 'label'],
    'WRONG_TYPE',
    /another type/,
    { task: 'TABULAR_REGRESSION' },
  ],
  ['semicolons', 'a;label\n1;yes\n', [], 'UNREADABLE', /one column/],
  ['two columns of the same name', 'a,a,label\n1,1,yes\n', [], 'UNREADABLE', /same name/],
  [
    'a label outside of the set',
    'a,label\n1,yes\n2,maybe\n3,no\n',
    ['rows', '2', 'label'],
    'NOT_IN_CATEGORIES',
    /not one of the categories/,
    { columns: stated('label') },
  ],
  [
    'a column with another name',
    'b,label\n1,yes\n2,no\n',
    ['columns', 'a'],
    'MISSING',
    /no such column/,
    { columns: stated('label') },
  ],
  [
    'a number out of range',
    'a,label\n1,yes\n200,no\n',
    ['rows', '2', 'a'],
    'OUT_OF_RANGE',
    /out of range/,
    { columns: stated('label') },
  ],
];

function numbered(rows: number, value: (i: number) => unknown): string {
  return Array.from({ length: rows }, (_, i) => `${value(i)},${i % 2 ? 'yes' : 'no'}\n`).join('');
}

function stated(label: string) {
  return [
    { name: 'a', type: 'NUMBER', maximum: 100 },
    { name: label, type: 'CATEGORY', categories: ['yes', 'no'] },
  ];
}

test.each(BROKEN.map((broken) => ({ what: broken[0], broken })))(
  '$what is refused with its row',
  async ({ broken }) => {
    const [, content, place, code, message, more = {}] = broken;
    const { dataset, problem } = await register('broken', csv(content), more);

    expect(dataset).toBeNull();
    expect(problem.code).toBe('INVALID_INPUT');
    const [first] = problem.problems;
    expect(first).toMatchObject({ path: ['input', 'data', 'content', ...place], code });
    expect(first.message).toMatch(message);
  },
);

test('lines that are no JSON objects, are not UTF-8 or have unknown keys are refused with their row', async () => {
  const good = '{"a":1,"label":"yes"}\n{"a":2,"label":"no"}\n';
  const bytes = async (more: Buffer | string) => ({
    format: 'JSON_LINES',
    upload: await mine.upload(Buffer.concat([Buffer.from(good), Buffer.from(more)])),
  });
  const problems = [
    await register('broken', await bytes('{"a":3,"label":')),
    await register('broken', await bytes('[1]\n')),
    await register('broken', await bytes(Buffer.from([0x7b, 0xff, 0x7d]))),
    await register('broken', { format: 'JSON_LINES', content: `${good}{"a":"b","label":"no"}` }),
    await register('broken', await bytes('{"a":3,"c":4,"label":"no"}\n'), { columns: stated('label') }),
  ].map(({ problem }) => problem.problems[0]);

  expect(problems.map(({ path, code }) => [...path.slice(3), code])).toEqual([
    ['rows', '3', 'UNREADABLE'],
    ['rows', '3', 'WRONG_TYPE'],
    ['rows', '3', 'UNREADABLE'],
    ['rows', '3', 'a', 'WRONG_TYPE'],
    ['rows', '3', 'c', 'UNKNOWN_NAME'],
  ]);
});

test('a text of many digits, and a row of many keys, are refused at once', async () => {
  const digits = await register('broken', csv(`a,label\n${numbered(30, (i) => i)}${'1'.repeat(900_000)}x,yes\n`));
  const keys = Object.fromEntries(Array.from({ length: 2_001 }, (_, i) => [`k${i}`, i]));
  const wide = await register('broken', { format: 'JSON_LINES', content: jsonLines([keys]) });

  expect(digits.problem.problems[0]).toMatchObject({ path: ['input', 'data', 'content', 'rows', '31', 'a'] });
  expect(wide.problem.problems[0]).toMatchObject({
    code: 'TOO_LARGE',
    path: ['input', 'data', 'content', 'rows', '1'],
  });
});

test('a file that is too large, or is no Parquet, is refused before it is read', async () => {
  const upload = await mine.upload('PAR1 is not enough');
  const notParquet = await register('broken', { format: 'PARQUET', upload });
  // A sparse file takes no place on the disk.
  await truncate(path.join(app.dataDir, 'uploads', upload), 10 * 1024 ** 3);
  await app.app.databases.catalogDb
    .updateTable('upload')
    .set({ size_bytes: 10 * 1024 ** 3 })
    .where('id', '=', upload)
    .execute();
  const tooLarge = await register('broken', { format: 'CSV', upload });
  const unknown = await register('broken', { format: 'CSV', upload }, {}, theirs);

  expect(notParquet.problem.problems[0].message).toMatch(/cannot be read as Parquet/);
  expect(tooLarge.problem.problems[0]).toMatchObject({ code: 'TOO_LARGE', received: '10737418240 bytes' });
  expect(unknown.problem.problems[0].code).toBe('UNKNOWN_NAME');
});

test('pages of many rows are complete, in order and of any size', async () => {
  const rows = Array.from({ length: 2_500 }, (_, i) => ({ i, text: 'x'.repeat(i % 500), label: String(i % 3) }));
  const data = { format: 'JSON_LINES', upload: await mine.upload(jsonLines(rows)) };
  const { dataset, problem } = await register('many-rows', data);
  expect(problem).toBeNull();
  const found: Data[] = [];
  let after: string | null = null;
  for (let hasNext = true; hasNext; ) {
    const page: Data = (await mine.send(ROWS, { name: 'many-rows', first: 97, after })).dataset.rows;
    found.push(...page.nodes);
    after = page.pageInfo.endCursor;
    hasNext = page.pageInfo.hasNextPage;
  }

  expect(dataset.rowCount).toBe(2_500);
  expect(found.map(({ values }) => values)).toEqual(rows);
  expect(found.map(({ number }) => number)).toEqual(rows.map((_, i) => i + 1));
  const other = await mine.send('{ dataset(name: "penguins-test") { rows(first: 2) { edges { cursor } } } }');
  const stray = { name: 'many-rows', first: 2, after: other.dataset.rows.edges[0].cursor };
  await expect(mine.send(ROWS, stray)).rejects.toThrow(/not a cursor of this list/);
});

test('a private dataset is there for its account and administrators only, and so is its name for nobody else', async () => {
  const content = 'a,label\n1,yes\n2,no\n';
  const { dataset } = await register('secret', csv(content), { title: 'Secret', reason: 'first' });
  const taken = await register('secret', csv(content), {}, theirs);
  const seen = async (client: PublishingClient) =>
    await client.send(
      'query ($id: ID!) { dataset(name: "secret") { rows { nodes { values } } } node(id: $id) { id } }',
      { id: dataset.id },
    );
  const foreign = await theirs.send(DELETE, { input: { dataset: 'secret' } });
  const viewer = await admin.withKey('mine', ['VIEWER']);

  expect(await seen(theirs)).toEqual({ dataset: null, node: null });
  expect((await seen(mine)).dataset.rows.nodes).toHaveLength(2);
  expect((await seen(admin)).dataset.rows.nodes).toHaveLength(2);
  expect(taken.problem.problems[0].message).toBe('the name is taken');
  expect(foreign.deleteDataset.problem.code).toBe('NOT_FOUND');
  await expect(viewer.send(DELETE, { input: { dataset: 'secret' } })).resolves.toMatchObject({
    deleteDataset: { problem: { code: 'FORBIDDEN' } },
  });

  const deleted = await mine.send(DELETE, { input: { dataset: 'secret', reason: 'done' } });
  const log = await admin.send('{ auditLog(first: 3) { nodes { action account target reason } } }');
  expect(deleted.deleteDataset).toEqual({ deletedId: dataset.id, problem: null });
  expect((await seen(admin)).dataset).toBeNull();
  expect(log.auditLog.nodes.filter(({ account }: Data) => account === 'mine')).toEqual([
    { action: 'deleteDataset', account: 'mine', target: 'secret', reason: 'done' },
    { action: 'registerDataset', account: 'mine', target: 'secret', reason: 'first' },
  ]);
});

test('a dataset of the model store has its rows, and is not deleted while its folder is there', async () => {
  const { dataset } = await mine.send(ROWS, { name: 'penguins-test', first: 1 });
  const { problem } = (await admin.send(DELETE, { input: { dataset: 'penguins-test' } })).deleteDataset;
  const [known] = await findDatasetsByNames(app.app.databases.catalogDb, SYSTEM, ['face-photos-test']);
  const faces = await mine.send(ROWS, { name: 'face-photos-test', first: 1 });

  expect(dataset.rowCount).toBe(104);
  expect(dataset.rows.nodes[0]).toMatchObject({ number: 1, values: { beak_length: 50.7 }, target: 'gentoo' });
  expect(problem.problems[0].message).toMatch(/its folder is in the model store/);
  expect(known?.rowCount).toBe(39);
  expect(faces.dataset.rows.nodes[0].target).toHaveLength(1);
});

test('an evaluation on data that the version was trained on is marked, also if the data has another name', async () => {
  const { catalogDb } = app.app.databases;
  const evaluation = await catalogDb
    .selectFrom('evaluation')
    .innerJoin('dataset', 'dataset.id', 'evaluation.dataset_id')
    .where('dataset.name', '=', 'penguins-test')
    .select(['evaluation.id', 'version_id', 'dataset.rows_sha256'])
    .executeTakeFirstOrThrow();
  const isMarked = async (client: PublishingClient) => {
    const query = 'query ($id: ID!) { node(id: $id) { ... on Evaluation { onTrainingData } } }';
    return (await client.send(query, { id: evaluation.id })).node.onTrainingData;
  };
  const before = await isMarked(mine);
  const rows: object[] = [];
  for (let after = null, hasNext = true; hasNext; ) {
    const page: Data = (await mine.send(ROWS, { name: 'penguins-test', first: 100, after })).dataset.rows;
    rows.push(...page.nodes.map(({ values }: Data) => values));
    [after, hasNext] = [page.pageInfo.endCursor, page.pageInfo.hasNextPage];
  }
  const copy = { format: 'JSON_LINES', content: jsonLines(rows.map((row) => ({ ...row }))) };
  const { dataset } = await register('penguins-copy', copy, { target: 'species', allowDuplicates: true });
  await catalogDb
    .insertInto('version_dataset')
    .values({ version_id: evaluation.version_id, dataset_id: dataset.id })
    .execute();

  expect(dataset.rowsSha256).toBe(evaluation.rows_sha256);
  expect([before, await isMarked(mine), await isMarked(theirs)]).toEqual([false, true, false]);
});

test('what is wrong with the description is reported before rows are read', async () => {
  const { problem } = await register('Wrong Name', { format: 'PARQUET', content: 'x', upload: null }, { title: ' ' });
  const neither = await register('fine', { format: 'CSV' });

  expect(problem.problems.map(({ path }: Data) => path.join('.'))).toEqual([
    'input.name',
    'input.title',
    'input.data.content',
  ]);
  expect(neither.problem.problems[0].expected).toBe('either content or upload');
});

/** The rows of the first test, written by pyarrow with Zstandard. */
const PARQUET =
  'UEFSMRUEFSAVMkwVBBUAEgAAKLUv/SAQgQAAAAAAAAAA+D8AAAAAAAAAQBUAFRIVJCwVBhUQFQYVBhwAAAAotS/9IAlJAAACAAAAAwMBAwIVBB' +
  'UqFTxMFQQVABIAACi1L/0gFakAAAYAAAB4LCAieSIHAAAAw6kK8J+YgBUAFRIVJCwVBhUQFQYVBhwAAAAotS/9IAlJAAACAAAAAwUBAwIVBBUa' +
  'FSxMFQQVABIAACi1L/0gDWkAAAMAAAB5ZXMCAAAAbm8VABUSFSQsFQYVEBUGFQYcAAAAKLUv/SAJSQAAAgAAAAYBAQMCFQQZTDUAGAZzY2hlbW' +
  'EVBgAVCiUCGAFhABUMJQIYAWIlAEwcAAAAFQwlAhgFbGFiZWwlAEwcAAAAFgYZHBk8JgAcFQoZNQAGEBkYAWEVDBYGFnQWmAEmViYIKSwVBBUA' +
  'FQIAFQAVEBUCADwpBhkmAgQAAAAmABwVDBk1AAYQGRgBYhUMFgYWfhaiASb4ASagASksFQQVABUCABUAFRAVAgA8FhoZBhkmAgQAAAAmABwVDB' +
  'k1AAYQGRgFbGFiZWwVDBYGFm4WkgEmigMmwgIpLBUEFQAVAgAVABUQFQIAPBYQGQYZJgAGAAAAFuACFgYmCBbMAwAoIHBhcnF1ZXQtY3BwLWFy' +
  'cm93IHZlcnNpb24gMjYuMC4xGTwcAAAcAAAcAAAAIwEAAFBBUjE=';
