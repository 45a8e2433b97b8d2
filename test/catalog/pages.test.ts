/** Pages of every list while the catalog grows, and which evaluation and version are selected by default. */
import { saveModel } from '#src/catalog/registration.queries.js';
import { insertEvaluation } from '#src/evaluation/evaluation.queries.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { fillCatalog, VERSIONS_EACH } from '../support/large-catalog.js';

const COUNT = 8;
const MODELS = `query ($search: String, $filter: ModelFilter, $orderBy: ModelOrder, $first: Int! = 3, $after: String) {
  models(search: $search, filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
    totalCount nodes { name } edges { cursor node { name } } pageInfo { hasNextPage endCursor }
  }
}`;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ empty: true, modelStore: '/nowhere' });
  await fillCatalog(app.app.databases.catalogDb, COUNT);
});
afterAll(() => app.stop());

async function addModel(name: string, title: string): Promise<void> {
  const card = JSON.stringify({ markdown: '' });
  const rest = {
    summary: null,
    task: 'TENSOR',
    owner: null,
    account: null,
    license: null,
    retention_days: null,
    tags: [],
    card,
  };
  await app.app.databases.catalogDb
    .transaction()
    .execute((trx) => saveModel(trx, { name, title, ...rest }, Date.now()));
}

async function page(variables: Record<string, unknown>): Promise<Data> {
  return (await app.query(MODELS, variables)).models;
}

const names = (connection: Data): string[] => connection.nodes.map(({ name }: Data) => name);

/** All nodes of a connection, page by page. */
async function walk(query: string, pick: (data: Data) => Data): Promise<Data[]> {
  const seen: Data[] = [];
  let after: string | null = null;
  do {
    const { nodes, pageInfo }: Data = pick(await app.query(query, { after }));
    seen.push(...nodes);
    after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
  } while (after !== null);
  return seen;
}

test('a page that starts after the cursor of an edge contains the rest of the list', async () => {
  const whole = await page({ first: 100 });

  for (const [i, { cursor, node }] of whole.edges.entries()) {
    const rest = await page({ first: 100, after: cursor });

    expect(node.name).toBe(names(whole)[i]);
    expect(names(rest)).toEqual(names(whole).slice(i + 1));
    expect(rest.pageInfo.hasNextPage).toBe(false);
  }
});

test('a cursor is accepted whether search, filter and order are null or omitted', async () => {
  const { pageInfo } = await page({});

  const next = await page({ after: pageInfo.endCursor, search: null, filter: null, orderBy: null });

  expect(names(next)).toEqual(['m003', 'm004', 'm005']);
});

const WRONG = [
  ['an empty cursor', { after: '' }],
  ['a cursor from another list', { after: Buffer.from('["x","m000","model_0"]').toString('base64url') }],
  ['a filter of more than a hundred values', { filter: { tags: Array.from({ length: 101 }, (_, i) => `tag ${i}`) } }],
  ['a metric that is not finite', { filter: { metric: { metric: 'accuracy', min: Number.POSITIVE_INFINITY } } }],
] as const;

test('what is wrong with a list is refused as BAD_USER_INPUT', async () => {
  for (const [what, variables] of WRONG) {
    const body = JSON.stringify({ query: MODELS, variables }, (_key, value) =>
      value === Number.POSITIVE_INFINITY ? '@' : value,
    );

    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: body.replace('"@"', '1e999'),
    });

    const { errors } = (await response.json()) as Data;
    expect({ what, code: errors[0].extensions.code }).toEqual({ what, code: 'BAD_USER_INPUT' });
  }
});

test('pages of versions, trained versions and evaluations contain every item exactly once, newest first', async () => {
  const versions = await walk(
    'query ($after: String) { model(name: "m003") { versions(first: 2, after: $after) { nodes { number } pageInfo { hasNextPage endCursor } } } }',
    ({ model }) => model.versions,
  );
  const trained = await walk(
    'query ($after: String) { dataset(name: "numbers") { trainedVersions(first: 7, after: $after) { nodes { ref } pageInfo { hasNextPage endCursor } } } }',
    ({ dataset }) => dataset.trainedVersions,
  );
  const evaluations = await walk(
    'query ($after: String) { dataset(name: "numbers") { evaluations(first: 9, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } }',
    ({ dataset }) => dataset.evaluations,
  );

  expect(versions.map(({ number }) => number)).toEqual([5, 4, 3, 2, 1]);
  expect(trained.map(({ ref }) => ref)).toEqual(
    Array.from({ length: COUNT * VERSIONS_EACH }, (_, i) => `m00${COUNT - 1 - Math.floor(i / 5)}:${5 - (i % 5)}`),
  );
  expect(new Set(evaluations.map(({ id }) => id)).size).toBe(COUNT * VERSIONS_EACH * 2);
});

test('a version is selected by number or alias; giving both is refused', async () => {
  const { model } = await app.query(
    '{ model(name: "m001") { one: version(number: 2) { ref } none: version(number: 99) { ref } odd: version(number: -1) { ref } } }',
  );
  const { errors } = await app.send('{ model(name: "m001") { version(number: 2, alias: "champion") { ref } } }');

  expect(model).toEqual({ one: { ref: 'm001:2' }, none: null, odd: null });
  expect(errors?.[0]?.extensions['code']).toBe('BAD_USER_INPUT');
});

describe('a cursor belongs to its list:', () => {
  const OTHERS = ['m004', 'm005'];
  const PAGE = '(first: 1, after: $after) { pageInfo { endCursor } }';
  const lists: (readonly [name: string, query: string, pick: (data: Data) => Data])[] = [
    ['models', `{ models${PAGE} }`, (data) => data.models],
    [
      'models by time',
      `{ models(orderBy: { field: CREATED_AT }, first: 1, after: $after) { pageInfo { endCursor } } }`,
      (data) => data.models,
    ],
    [
      'models by time, newest first',
      `{ models(orderBy: { field: CREATED_AT, direction: DESC }, first: 1, after: $after) { pageInfo { endCursor } } }`,
      (data) => data.models,
    ],
    [
      'models found',
      `{ models(search: "model", first: 1, after: $after) { pageInfo { endCursor } } }`,
      (data) => data.models,
    ],
    [
      'models of a task',
      `{ models(filter: { tasks: [TEXT_CLASSIFICATION, TABULAR_CLASSIFICATION] }, first: 1, after: $after) { pageInfo { endCursor } } }`,
      (data) => data.models,
    ],
    ['datasets', `{ datasets${PAGE} }`, (data) => data.datasets],
    ...OTHERS.map(
      (name) =>
        [
          `versions of ${name}`,
          `{ model(name: "${name}") { versions${PAGE} } }`,
          (data: Data) => data.model.versions,
        ] as const,
    ),
    [
      'trained versions',
      `{ dataset(name: "numbers") { trainedVersions${PAGE} } }`,
      (data) => data.dataset.trainedVersions,
    ],
    [
      'evaluations of a dataset',
      `{ dataset(name: "numbers") { evaluations${PAGE} } }`,
      (data) => data.dataset.evaluations,
    ],
    ...OTHERS.map(
      (name) =>
        [
          `evaluations of ${name}:1`,
          `{ version(ref: "${name}:1") { evaluations${PAGE} } }`,
          (data: Data) => data.version.evaluations,
        ] as const,
    ),
  ];
  const ask = (query: string, after: string | null) => app.send(`query ($after: String) ${query}`, { after });

  test('each is accepted by its own list and refused by every other', async () => {
    const cursors = [];
    for (const [, query, pick] of lists) cursors.push(pick((await ask(query, null)).data).pageInfo.endCursor);
    const accepted = [];
    for (const [i, [name, query]] of lists.entries()) {
      for (const [j, cursor] of cursors.entries()) {
        const { errors } = await ask(query, cursor);
        if (!errors) accepted.push([name, lists[j]?.[0]]);
        else expect([name, errors[0]?.extensions['code']]).toEqual([name, 'BAD_USER_INPUT']);
        if (i === j) expect([name, errors]).toEqual([name, undefined]);
      }
    }

    expect(cursors).not.toContain(null);
    expect(accepted).toEqual(lists.map(([name]) => [name, name]));
  });

  test('of several parents, only the one it comes from accepts it', async () => {
    const { data } = await ask(`{ model(name: "m001") { versions${PAGE} } }`, null);
    const after = data.model.versions.pageInfo.endCursor;

    const answer = await ask(
      '{ m001: model(name: "m001") { versions(after: $after) { nodes { number } } } m002: model(name: "m002") { versions(after: $after) { nodes { number } } } }',
      after,
    );

    expect(answer.errors?.map(({ path }) => path)).toEqual([['m002', 'versions']]);
    expect(answer.data.m001.versions.nodes.map(({ number }: Data) => number)).toEqual([4, 3, 2, 1]);
  });

  test('changed, padded, nested, of another type or of 16 KiB, it is refused', async () => {
    const { pageInfo } = await page({ first: 1 });
    const own: string = pageInfo.endCursor;
    const [list, name, id] = JSON.parse(Buffer.from(own, 'base64url').toString());
    const forged = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const cursors = [
      `${own}!`,
      `${own}=`,
      ` ${own}`,
      forged([list, 5, id]),
      forged([list, name, 5]),
      forged([list, name]),
      forged([list, name, id, id]),
      forged([list, [name], id]),
      forged([list, null, id]),
      forged({ 0: list, 1: name, 2: id }),
      forged([list, name.repeat(4_096), id]),
      'x'.repeat(16_384),
      Buffer.from('['.repeat(12_288)).toString('base64url'),
    ];

    const answers = await Promise.all(cursors.map((after) => app.send(MODELS, { after })));

    expect(answers.map(({ errors }) => errors?.[0]?.extensions['code'])).toEqual(cursors.map(() => 'BAD_USER_INPUT'));
  });
});

test('models added between two requests do not shift the pages', async () => {
  const first = await page({});
  await addModel('a-before-all', 'Before');
  await addModel('m000-between', 'Between');

  const second = await page({ after: first.pageInfo.endCursor });

  expect([...names(first), ...names(second)]).toEqual(['m000', 'm001', 'm002', 'm003', 'm004', 'm005']);
  expect(second.totalCount).toBe(COUNT + 2);
});

test('a search ignores accents and how they are encoded', async () => {
  await addModel('francais', 'Modèle de langue');

  for (const search of ['modèle', 'modèle'.normalize('NFD'), 'MODELE', 'mode'])
    expect(names(await page({ search, first: 100 }))).toContain('francais');
});

test('a COMPUTED evaluation is preferred to an IMPORTED one, unless an origin is given', async () => {
  const { version, dataset } = await app.query('{ version(ref: "m000:1") { id } dataset(name: "numbers") { id } }');
  const computed = { version_id: version.id, dataset_id: dataset.id, origin: 'COMPUTED' as const, evaluated_rows: 2 };
  await insertEvaluation(app.app.databases.catalogDb, computed, [], 1);

  const answer = await app.query(`{ version(ref: "m000:1") {
    any: evaluation { origin } computed: evaluation(origin: COMPUTED) { origin evaluatedRows }
    imported: evaluation(dataset: "numbers", origin: IMPORTED) { origin } } }`);

  expect(answer.version).toEqual({
    any: { origin: 'COMPUTED' },
    computed: { origin: 'COMPUTED', evaluatedRows: 2 },
    imported: { origin: 'IMPORTED' },
  });
});
