/**
 * Requests that repeat one dear part as often as the limits allow. What they return, read and run is counted; the cost
 * audit in `test/endurance` measures the time and memory of many more.
 */
import { LIMITS } from '#src/api/limits.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { pixelBomb } from '../support/images.ts';
import type { TestStore } from '../support/model-store.ts';
import { encodeModel, identity } from '../support/onnx.ts';
import { sweptLog } from '../support/swept-log.ts';
import { createTasksStore } from '../support/tasks-table.js';

let app: TestApp;
let store: TestStore;
beforeAll(async () => {
  store = await createTasksStore();
  const eight = ['N', 'A', 'B', 'C', 'D', 'E', 'F', 'G'];
  await store.write('eight-dimensions', { '1/model.onnx': encodeModel(identity('x', 'FP32', eight)) });
  const { log, swept } = sweptLog();
  app = await startTestApp({ modelStore: store.folder, log });
  await swept;
  // Fills the caches of names, which would otherwise add statements.
  await app.query('{ models(first: 100) { nodes { id } } }');
  for (const [model, input] of WARM) await app.query(PREDICT, { input: { model, input } });
});
afterAll(async () => {
  await app.stop();
  await store.remove();
});

const PREDICT =
  'mutation ($input: PredictInput!) { predict(input: $input) { prediction { id } problem { code message ... on InvalidInput { problems { code path message expected received } } } } }';
/** Refused, but their versions are known afterwards. */
const WARM = [
  ['penguins', { row: {} }],
  ['spam-filter', { text: '' }],
] as const;
const MANY =
  'mutation ($input: PredictManyInput!) { predictMany(input: $input) { results { problem { code ... on InvalidInput { problems { code } } } } problem { code } } }';
const LABELS = Array.from({ length: 100 }, (_, i) => `label ${i}`);

interface Counted {
  readonly status: number;
  readonly codes: readonly string[];
  readonly bytes: number;
  readonly price: number;
  readonly statements: number;
  readonly data: Data;
}

/** Sends a body and counts what it took. */
async function count(body: string): Promise<Counted> {
  const { catalogFile, predictionsFile } = app.app.databases;
  const statements = () => catalogFile.statementCount + predictionsFile.statementCount;
  const before = statements();
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  const text = await response.text();
  const { data, errors = [], extensions } = JSON.parse(text);
  const codes: string[] = errors.map((error: { extensions?: { code?: string } }) => error.extensions?.code ?? 'none');
  return {
    status: response.status,
    codes: [...new Set(codes)],
    bytes: text.length,
    price: extensions?.cost?.requested ?? 0,
    statements: statements() - before,
    data,
  };
}

const ask = (query: string, variables: unknown = {}) => count(JSON.stringify({ query, variables }));
const names = (fields: string) => `{ models(first: 100) { nodes { ${fields} } } }`;
const times = (number: number, text: (i: number) => string) =>
  Array.from({ length: number }, (_, i) => text(i)).join(' ');

test('rows of 10,000 columns name a bounded number of them, and read nothing', async () => {
  const row = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`column ${i}`, i]));
  const inputs = Array(10).fill({ row });

  const { data, bytes, price, statements } = await ask(MANY, { input: { model: 'penguins', inputs, record: false } });

  const problems = data.predictMany.results.map(({ problem }: Data) => problem.problems.length);
  expect(Math.max(...problems)).toBeLessThanOrEqual(20);
  expect(bytes).toBeLessThan(10_000);
  expect(price).toBeGreaterThan(10 * 50);
  expect(statements).toBe(0);
});

test.each([
  ['fashion-mlp', 'input', [0, 100], 'WRONG_SHAPE'],
  ['fashion-mlp', 'input', [1, 0], 'WRONG_SHAPE'],
  ['fashion-mlp', 'input', [0], 'WRONG_SHAPE'],
  ['fashion-mlp', 'input', [2_147_483_647, 0], 'WRONG_SHAPE'],
  ['eight-dimensions', 'x', [2 ** 22 + 1, 0, 1, 1, 1, 1, 1, 1], 'WRONG_SHAPE'],
  ['eight-dimensions', 'x', [2_147_483_647, 2_147_483_647, 0, 1, 1, 1, 1, 1], 'WRONG_SHAPE'],
])(
  '%s: a tensor with a dimension of zero that does not fit or is too large beside it, %s %j, is one problem',
  async (model, name, shape, code) => {
    const sent = await Promise.all(
      [{ base64: '' }, { data: [] }].map((contents) =>
        ask(PREDICT, { input: { model, input: { tensors: [{ name, datatype: 'FP32', shape, ...contents }] } } }),
      ),
    );

    for (const { data, bytes } of sent) {
      expect(data.predict.problem.problems.map((problem: Data) => problem.code)).toEqual([code]);
      expect(bytes).toBeLessThan(1_000);
    }
  },
);

test('a tensor of eight dimensions of one is a single value, nested eight deep', async () => {
  const tensor = { name: 'x', datatype: 'FP32', shape: Array(8).fill(1), data: [[[[[[[[7]]]]]]]] };
  const output = 'output { ... on Tensors { tensors { shape data } } }';

  const { data, price } = await ask(PREDICT.replace('{ id }', `{ ${output} }`), {
    input: { model: 'eight-dimensions', input: { tensors: [tensor] }, record: false },
  });

  expect(data.predict.prediction.output.tensors).toEqual([{ shape: Array(8).fill(1), data: [7] }]);
  expect(price).toBeLessThan(20);
});

test('one token repeated is one field, and costs what it costs', async () => {
  const [one, many] = [await ask(names('name')), await ask(names('name '.repeat(100)))];

  expect(many).toEqual(one);
  expect((await ask(names('name '.repeat(280)))).codes).toEqual(['DOCUMENT_LIMIT_EXCEEDED']);
});

test('one fragment that is spread 140 times costs and reads as much as once; 200 times, it is refused', async () => {
  const spread = (count: number) => ask(`${names('...F '.repeat(count))} fragment F on Model { name }`);

  const [one, many, most] = [await spread(1), await spread(140), await spread(200)];

  expect(many).toEqual(one);
  expect(most).toMatchObject({ status: 400, codes: ['DOCUMENT_LIMIT_EXCEEDED'], statements: 0 });
});

test('fifty aliases of 290 characters make an answer that their price pays for', async () => {
  const { status, bytes, price, statements } = await ask(names(times(50, (i) => `${'a'.repeat(290)}${i}: name`)));

  expect(status).toBe(200);
  expect(bytes).toBeLessThan(8_192 * price);
  expect(statements).toBe(1);
});

test('cursors of 16 KiB are refused on every list, without a read, and are not repeated in the answer', async () => {
  const a = 'x'.repeat(16_384);
  const lists = await Promise.all(
    ['models', 'datasets', 'predictions'].map((list) =>
      ask(`query ($a: String) { ${times(18, (i) => `c${i}: ${list}(after: $a) { nodes { id } }`)} }`, { a }),
    ),
  );
  const inside = await Promise.all(
    ['versions', 'version { predictions', 'version { evaluations'].map((list) => {
      const end = list.includes('{') ? '}' : '';
      return ask(`query ($a: String) { model(name: "penguins") { ${list}(after: $a) { nodes { id } } ${end} } }`, {
        a,
      });
    }),
  );

  for (const { codes, bytes } of [...lists, ...inside]) {
    expect(codes).toEqual(['BAD_USER_INPUT']);
    expect(bytes).toBeLessThan(8_192);
  }
  expect(lists.map(({ statements }) => statements)).toEqual([0, 0, 0]);
});

test('list literals nested 60 deep are refused with one short error; 65 deep, before they are parsed', async () => {
  const nested = (depth: number) => ask(`{ nodes(ids: ${'['.repeat(depth)}"x"${']'.repeat(depth)}) { id } }`);

  const [deep, deeper] = [await nested(60), await nested(65)];

  expect(deep).toMatchObject({ status: 400, codes: ['GRAPHQL_VALIDATION_FAILED'], statements: 0 });
  expect(deeper).toMatchObject({ status: 400, codes: ['DOCUMENT_LIMIT_EXCEEDED'], statements: 0 });
  expect(deep.bytes + deeper.bytes).toBeLessThan(1_000);
});

test('a variable of 100,000 characters in twenty places is neither read twenty times nor repeated in the answer', async () => {
  const value = 'm'.repeat(100_000);
  const models = await ask(`query ($n: String!) { ${times(20, (i) => `m${i}: model(name: $n) { name }`)} }`, {
    n: value,
  });
  const versions = await ask(`query ($n: VersionRef!) { ${times(20, (i) => `v${i}: version(ref: $n) { ref }`)} }`, {
    n: value,
  });
  const fifty = await ask(
    `query ($n: [String!]) { models(first: 100) { nodes { version { evaluations { nodes { ${times(50, (i) => `m${i}: metrics(names: $n) { name }`)} } } } } } }`,
    { n: Array(100).fill(value) },
  );

  expect(models.statements).toBeLessThanOrEqual(1);
  expect(versions).toMatchObject({ status: 400, codes: ['BAD_USER_INPUT'], statements: 0 });
  expect(Math.max(models.bytes, versions.bytes, fifty.bytes)).toBeLessThan(4_096);
});

test('a text of 100,000 characters in twenty predictions costs twenty times as much as in one, and is refused', async () => {
  const predict = (i: number) =>
    `p${i}: predict(input: { model: "spam-filter", input: { text: $t }, record: false }) { problem { code } }`;
  const send = (count: number) =>
    ask(`mutation ($t: String!) { ${times(count, predict)} }`, { t: 'word '.repeat(20_000) });

  const [one, twenty] = [await send(1), await send(20)];

  expect(one.data.p0.problem).toBeNull();
  expect(twenty).toMatchObject({ status: 400, codes: ['COST_LIMIT_EXCEEDED'], statements: 0 });
  expect(twenty.price).toBeGreaterThan(19 * one.price);
});

test.each([
  ['photos of 25 megapixels', 'fashion-cnn', { image: { base64: pixelBomb(5_000, 5_000).toString('base64') } }],
  ['texts of 100,000 characters', 'tiny-ner', { text: 'paris '.repeat(16_666) }],
  [
    'lists of 256 sentences',
    'tiny-sentences',
    { similarity: { source: 'a', sentences: Array(256).fill('paris '.repeat(150)) } },
  ],
  [
    'lists of 256 documents',
    'tiny-ranker',
    { ranking: { query: 'a', documents: Array(256).fill('paris '.repeat(150)) } },
  ],
  ['texts for 100 labels', 'tiny-nli', { zeroShot: { text: 'movie '.repeat(2_000), labels: LABELS } }],
])('a predictMany of 64 %s is refused before any of them is decoded', async (_, model, input) => {
  const answer = await ask(MANY, { input: { model, inputs: Array(64).fill(input), record: false } });

  expect(answer).toMatchObject({ status: 400, codes: ['COST_LIMIT_EXCEEDED'], data: undefined });
  expect(answer.price).toBeGreaterThan(2 * LIMITS.maxCost);
});

test('filters with the longest strings and lists are refused, or read a bounded number of times', async () => {
  const long = 'm'.repeat(100_000);
  const query =
    'query ($f: ModelFilter, $s: String) { models(filter: $f, search: $s, first: 100) { totalCount nodes { name } } }';
  const list = (length: number) => Array.from({ length }, (_, i) => `${'t'.repeat(1_000)}${i}`);

  const longList = await ask(query, { f: { tags: list(1_000) } });
  const tooLongList = await ask(query, { f: { tags: list(2_001) } });
  const search = await ask(query, { s: `${long} ${'word '.repeat(10_000)}` });

  expect(tooLongList.codes).toEqual(['BAD_USER_INPUT']);
  expect(Math.max(longList.statements, search.statements)).toBeLessThanOrEqual(3);
  expect(Math.max(longList.bytes, tooLongList.bytes, search.bytes)).toBeLessThan(2_000);
});

test('a JSON value may be nested until the body is 32 levels deep, and is not repeated in the answer', async () => {
  // The body, the variables and the input are four levels.
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  const send = (depth: number) =>
    count(
      `{"query":${JSON.stringify(PREDICT)},"variables":{"input":{"model":"penguins","input":{"row":${nested(depth)}}}}}`,
    );

  const [deepest, deeper] = [await send(28), await send(29)];

  expect(deepest.data.predict.problem.problems).toHaveLength(1);
  expect(deepest.bytes).toBeLessThan(1_000);
  expect(deeper).toMatchObject({ status: 400, codes: ['BODY_LIMIT_EXCEEDED'], statements: 0 });
});

test('of duplicate keys the last one counts, for the limits and for the request', async () => {
  const small = '{ limits { maxCost } }';
  const large = `{ ${times(51, (i) => `a${i}: __typename`)} }`;
  const keys = (number: number, last: string) => `${'"bill_length_mm":1,'.repeat(number)}"bill_length_mm":${last}`;
  const row = (number: number) =>
    count(
      `{"query":${JSON.stringify(PREDICT)},"variables":{"input":{"model":"penguins","input":{"row":{${keys(number, '"x"')}}}}}}`,
    );

  const [lastIsLarge, lastIsSmall] = [
    await count(`{"query":"${small}","query":"${large}"}`),
    await count(`{"query":"${large}","query":"${small}"}`),
  ];
  const [many, tooMany] = [await row(100_000), await row(130_000)];

  expect(lastIsLarge.codes).toEqual(['DOCUMENT_LIMIT_EXCEEDED']);
  expect(lastIsSmall.data).toEqual({ limits: { maxCost: LIMITS.maxCost } });
  expect(many.data.predict.problem.problems).toHaveLength(1);
  expect(tooMany).toMatchObject({ status: 413, codes: ['BODY_LIMIT_EXCEEDED'] });
});

test.each([
  ['the key of a row', 'penguins', { row: { ['k'.repeat(100_000)]: 1 } }],
  ['the value of a category', 'penguins', { row: { island: 'v'.repeat(100_000) } }],
  [
    'the name of a tensor',
    'penguins',
    { tensors: [{ name: 'n'.repeat(100_000), datatype: 'FP32', shape: [1], data: [1] }] },
  ],
  [
    'the datatype of a tensor',
    'fashion-mlp',
    { tensors: [{ name: 'input', datatype: 'd'.repeat(100_000), shape: [1], data: [1] }] },
  ],
])(
  '%s of 100,000 characters, in twenty inputs, is shortened wherever a problem repeats it',
  async (_, model, input) => {
    const problem = 'problem { message ... on InvalidInput { problems { path message expected received } } }';
    const query = `mutation ($i: ModelInput!) { predictMany(input: { model: "${model}", record: false, inputs: [${times(20, () => '$i')}] }) { results { ${problem} } } }`;

    const { data, bytes } = await ask(query, { i: input });

    expect(data.predictMany.results).toHaveLength(20);
    expect(bytes).toBeLessThan(100_000);
  },
);

test('an idempotency key that is not valid Unicode is shortened in its problem', async () => {
  const idempotencyKey = '\ud800'.repeat(1_000);

  const { data, bytes } = await ask(PREDICT, { input: { model: 'penguins', input: { row: {} }, idempotencyKey } });

  expect(data.predict.problem.problems.map((problem: Data) => problem.code)).toEqual(['TOO_LARGE', 'UNREADABLE']);
  expect(bytes).toBeLessThan(2_000);
});
