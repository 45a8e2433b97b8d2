/** Lists of models in an order in which not every model has a place: by size, by a metric and by recent use. */
import { sql } from 'kysely';
import { insertEvaluation } from '#src/evaluation/evaluation.queries.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { fillCatalog, metricOf } from '../support/large-catalog.js';

const COUNT = 40;
const LIST = `query ($search: String, $filter: ModelFilter, $orderBy: ModelOrder, $first: Int! = 100, $after: String) {
  models(search: $search, filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
    totalCount nodes { name } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;
const TODAY = Math.floor(Date.now() / 86_400_000);
const ACCURACY = { field: 'METRIC', metric: { metric: 'accuracy', dataset: 'numbers' } };

let app: TestApp;
/** API keys by who has them. */
const keys: Record<string, string> = {};
/** What the models are ordered by, by name and as an administrator sees it. */
let models: Readonly<Record<'name' | 'id', string> & Record<'bytes' | 'score', number | null>>[];
beforeAll(async () => {
  app = await startTestApp({ empty: true, modelStore: '/nowhere' });
  const { catalogDb } = app.app.databases;
  await fillCatalog(catalogDb, COUNT);
  // Three models of each size, and every fifth without one.
  await sql`update model set default_bytes = iif(substr(name, 2) % 5 = 0, null, 100 * (substr(name, 2) / 3))`.execute(
    catalogDb,
  );
  await sql`update model set visibility = 'private', account = 'b' where name in ('m007', 'm010')`.execute(catalogDb);
  // Two models of each accuracy, and every seventh without one.
  await sql`update metric set value = iif(m % 7 = 0, null, m / 2 / 10.0) from (select evaluation.id as of,
    substr(model.name, 2) as m from evaluation join version on version.id = version_id join model on model.id = model_id)
    where of = evaluation_id`.execute(catalogDb);
  await sql`update evaluation set job_state = 'RUNNING'`.execute(catalogDb);
  await sql`update evaluation set job_state = 'SUCCEEDED'`.execute(catalogDb);
  const uses = {
    a: [
      [3, 0],
      [4, 0],
      [7, 0],
      [1, -1],
      [2, -89],
      [5, -90],
      [6, -91],
    ],
    b: [
      [9, 0],
      [7, -3],
    ],
  } as const;
  for (const [account, ofAccount] of Object.entries(uses))
    for (const [i, day] of ofAccount)
      await sql`insert into model_use select ${account}, id, ${TODAY + day} from model where name = ${nameOf(i)}`.execute(
        catalogDb,
      );
  models = (
    await sql<(typeof models)[number]>`select name, id, default_bytes as bytes,
      (select value from model_score where model_score.search_id = model.search_id) as score from model`.execute(
      catalogDb,
    )
  ).rows;
  keys['admin'] = await keyOf({ account: 'c', roles: ['ADMIN'] });
  keys['a'] = await keyOf({ account: 'a', roles: ['PREDICTOR'] });
  keys['b'] = await keyOf({ account: 'b', roles: ['PREDICTOR'] });
  keys['viewer of a'] = await keyOf({ account: 'a', roles: ['VIEWER'] });
  keys['bound'] = await keyOf({ account: 'a', roles: ['PREDICTOR'], models: ['m001', 'm004@champion'] });
  const page = { kind: 'PUBLISHABLE', operations: ['models'], models: ['m003'], origins: ['https://a.example'] };
  keys['page'] = await keyOf({ account: 'a', roles: ['PREDICTOR'], ...page });
});
afterAll(() => app.stop());

const nameOf = (i: number) => `m${String(i).padStart(3, '0')}`;

async function send(who: string, query: string, variables: object = {}): Promise<Data> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(keys[who] && { authorization: `Bearer ${keys[who]}` }),
      ...(who === 'page' && { origin: 'https://a.example' }),
    },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

async function keyOf(input: object): Promise<string> {
  const create = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }';
  return (await send('admin', create, { input: { name: 'a key', ...input } })).data.createApiKey.secret;
}

/** The names of all pages, each with what it says of itself checked. */
async function pagesOf(who: string, first: number, listing: Record<string, unknown>): Promise<string[]> {
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const { models: page }: Data = (await send(who, LIST, { ...listing, first, after })).data;
    seen.push(...page.nodes.map(({ name }: Data) => name));
    expect(page.pageInfo).toEqual({
      hasNextPage: seen.length < page.totalCount,
      hasPreviousPage: after !== null,
      startCursor: page.edges[0]?.cursor ?? null,
      endCursor: page.edges.at(-1)?.cursor ?? null,
    });
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  } while (after !== null);
  return seen;
}

type ModelValues = (typeof models)[number];

function ordered(of: readonly ModelValues[], value: (model: ModelValues) => number | null, sign: 1 | -1): string[] {
  const compare = (a: ModelValues, b: ModelValues) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return x === y ? byText(a.name, b.name) : Number(x === null) - Number(y === null);
    return sign * (x - y || byText(a.id, b.id));
  };
  return of.toSorted(compare).map(({ name }) => name);
}

const byText = (a: string, b: string) => (a < b ? -1 : 1);

describe.each([
  ['ASC', 1],
  ['DESC', -1],
] as const)('%s', (direction, sign) => {
  test.each([
    ['SIZE', { field: 'SIZE' }, ({ bytes }: ModelValues) => bytes],
    ['METRIC', ACCURACY, ({ score }: ModelValues) => score],
  ] as const)(
    'by %s, pages of any length have every model once, ties by id, and those without a value last, by name',
    async (_, order, value) => {
      const orderBy = { ...order, direction };
      const expected = ordered(models, value, sign);

      expect(models.filter((model) => value(model) === null).length).toBeGreaterThan(4);
      for (const first of [3, 7, 100]) expect(await pagesOf('admin', first, { orderBy })).toEqual(expected);
      const listing = { orderBy, search: 'apples', filter: { licenses: ['mit'], tags: ['even'] } };
      const isListed = ({ name }: ModelValues) => Number(name.slice(1)) % 2 === 0 && Number(name.slice(1)) % 5 !== 0;
      expect(await pagesOf('admin', 4, listing)).toEqual(ordered(models.filter(isListed), value, sign));
    },
  );

  test('RECENT_USE is that of the own account, by day, within 90 days', async () => {
    const orderBy = { field: 'RECENT_USE', direction };
    const publicModels = models.filter(({ name }) => name !== 'm007' && name !== 'm010');
    const byDay =
      (days: Readonly<Record<string, number>>) =>
      ({ name }: ModelValues) =>
        days[name] ?? null;
    const ofA = byDay({ m003: 0, m004: 0, m001: -1, m002: -89, m005: -90 });

    for (const first of [3, 100])
      expect(await pagesOf('a', first, { orderBy })).toEqual(ordered(publicModels, ofA, sign));
    expect(await pagesOf('b', 3, { orderBy })).toEqual(ordered(models, byDay({ m009: 0, m007: -3 }), sign));
    expect(await pagesOf('bound', 3, { orderBy })).toEqual(ordered(publicModels, byDay({ m004: 0, m001: -1 }), sign));
    for (const who of ['viewer of a', 'page'])
      expect(await pagesOf(who, 50, { orderBy })).toEqual(publicModels.map(({ name }) => name).sort());
  });
});

test('a computed evaluation decides over imported ones, and the newest of several', async () => {
  const { catalogDb } = app.app.databases;
  const orderBy = { ...ACCURACY, direction: 'DESC' };
  const first = async () => (await pagesOf('admin', 100, { orderBy }))[0];
  const { version, dataset } = (await send('admin', '{ version(ref: "m001") { id } dataset(name: "numbers") { id } }'))
    .data;
  const add = (origin: 'COMPUTED' | 'IMPORTED', value: number) =>
    insertEvaluation(
      catalogDb,
      { version_id: version.id, dataset_id: dataset.id, origin, evaluated_rows: 1 },
      [
        { ...metricOf(value), average: 'macro' },
        { ...metricOf(1_000 - value), average: 'micro' },
        { ...metricOf(0), label: 'a' },
      ],
      Date.now(),
    );
  const before = await first();
  await add('COMPUTED', 2);
  const computed = await first();
  await add('IMPORTED', -1);
  const imported = await first();
  await add('COMPUTED', -1);

  expect([before === 'm001', computed, imported]).toEqual([false, 'm001', 'm001']);
  expect(await first()).toBe(before);
});

test.each([
  ['METRIC without a metric', { field: 'METRIC' }, 'orderBy.metric is missing'],
  ['a metric without METRIC', { ...ACCURACY, field: 'SIZE' }, 'orderBy.field is SIZE; it must be METRIC'],
])('%s is refused', async (_, orderBy, message) => {
  const { errors } = await send('admin', LIST, { orderBy });

  expect(errors[0]).toMatchObject({
    message: expect.stringContaining(message),
    extensions: { code: 'BAD_USER_INPUT' },
  });
});

test('a dataset that nobody knows orders by name, and a cursor belongs to its order and direction', async () => {
  const unknown = { field: 'METRIC', metric: { metric: 'accuracy', dataset: 'nothing' } };
  const orders = [
    unknown,
    ACCURACY,
    { field: 'SIZE' },
    { field: 'SIZE', direction: 'DESC' },
    { field: 'RECENT_USE' },
    { field: 'NAME' },
  ];
  const cursors = [];
  for (const orderBy of orders)
    cursors.push((await send('a', LIST, { orderBy, first: 1 })).data.models.pageInfo.endCursor);

  expect(await pagesOf('admin', 9, { orderBy: unknown })).toEqual(models.map(({ name }) => name).sort());
  for (const [i, orderBy] of orders.entries())
    for (const [j, after] of cursors.entries()) {
      const { errors } = await send('a', LIST, { orderBy, after });
      expect([i, j, errors?.[0].extensions.code]).toEqual([i, j, i === j ? undefined : 'BAD_USER_INPUT']);
    }
});

test.each([
  [{ field: 'SIZE' }, 50],
  [{ field: 'RECENT_USE' }, 100],
  [ACCURACY, 500],
])('ordered by %j, a list costs more: %i points', async (orderBy, points) => {
  const costOf = async (variables: object) =>
    (await send('admin', LIST, { first: 1, ...variables })).extensions.cost.requested;

  expect((await costOf({ orderBy })) - (await costOf({ orderBy: { field: 'NAME' } }))).toBe(points);
});
