/** Listing models: search, filters, order, pages and facets. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { fillCatalog } from '../support/large-catalog.js';

const COUNT = 60;
const LIST = `query ($search: String, $filter: ModelFilter, $orderBy: ModelOrder, $first: Int! = 100, $after: String) {
  models(search: $search, filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
    totalCount nodes { name } pageInfo { hasNextPage endCursor }
  }
}`;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ empty: true, modelStore: '/nowhere' });
  await fillCatalog(app.app.databases.catalogDb, COUNT);
});
afterAll(() => app.stop());

async function names(variables: Record<string, unknown>): Promise<string[]> {
  const { models } = await app.query(LIST, variables);
  expect(models.totalCount).toBe(models.nodes.length);
  return models.nodes.map(({ name }: Data) => name);
}

const numbers = (found: string[]) => found.map((name) => Number(name.slice(1)));
const all = Array.from({ length: COUNT }, (_, i) => i);

test.each([
  [{ tasks: ['TENSOR'] }, (i: number) => i % 3 === 0],
  [{ tasks: ['TENSOR', 'TABULAR_CLASSIFICATION'] }, () => true],
  [{ tags: ['even'] }, (i: number) => i % 2 === 0],
  [{ tags: ['even', 'odd'] }, () => true],
  [{ owners: ['owner-1', 'owner-2'] }, (i: number) => i % 4 === 1 || i % 4 === 2],
  [{ licenses: ['apache-2.0'] }, (i: number) => i % 5 === 0],
  [{ frameworks: ['scikit-learn'] }, (i: number) => i % 2 === 1],
  [{ maxSizeBytes: 10_000 }, (i: number) => i < 10],
  [{ metric: { metric: 'accuracy', dataset: 'numbers', min: 0.75 } }, (i: number) => i / COUNT >= 0.75],
  [{ metric: { metric: 'accuracy', max: 0.25 } }, (i: number) => i / COUNT <= 0.25],
  [{ metric: { metric: 'accuracy', dataset: 'others' } }, () => false],
  [{ tags: ['even'], licenses: ['mit'], frameworks: ['tensorflow'] }, (i: number) => i % 2 === 0 && i % 5 !== 0],
  [{ tasks: [], tags: [], licenses: ['mit'] }, (i: number) => i % 5 !== 0],
  [{ tasks: [] }, () => true],
])('the filter %j returns exactly the models that meet it', async (filter, isLeft) => {
  expect(numbers(await names({ filter }))).toEqual(all.filter(isLeft));
});

test.each([
  ['apples', (i: number) => i % 2 === 0],
  ['app', (i: number) => i % 2 === 0],
  ['tells cats', (i: number) => i % 2 === 1],
  ['APPLE', (i: number) => i % 2 === 0],
  ['apples zebra', () => false],
  ['"apples" AND (dogs OR *) NEAR -x', () => false],
  ['!!!', () => true],
  ["'; drop table model; --", () => false],
])('searching for %j finds the models that contain every word', async (search, isFound) => {
  expect(numbers(await names({ search })).sort((a, b) => a - b)).toEqual(all.filter(isFound));
});

test('the best match comes first', async () => {
  expect((await names({ search: 'number 7' }))[0]).toBe('m007');
});

test('a word repeated two hundred times counts once', async () => {
  expect(await names({ search: 'Apples '.repeat(200) })).toEqual(await names({ search: 'apples' }));
});

test('a search and a filter can be combined', async () => {
  expect(
    numbers(await names({ search: 'apples', filter: { licenses: ['apache-2.0'] } })).sort((a, b) => a - b),
  ).toEqual(all.filter((i) => i % 10 === 0));
});

test.each([
  [null, 1],
  [{ field: 'NAME', direction: 'DESC' }, -1],
  [{ field: 'CREATED_AT' }, 1],
  [{ field: 'UPDATED_AT', direction: 'DESC' }, -1],
])('ordered by %j, the pages contain every model exactly once', async (orderBy, sign) => {
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const { models }: Data = await app.query(LIST, { orderBy, first: 7, after });
    seen.push(...models.nodes.map(({ name }: Data) => name));
    after = models.pageInfo.hasNextPage ? models.pageInfo.endCursor : null;
  } while (after);

  expect(numbers(seen)).toEqual(sign === 1 ? all : all.toReversed());
});

test('the pages of a search are in order of rank', async () => {
  const whole = await names({ search: 'apples' });
  const { models: first } = await app.query(LIST, { search: 'apples', first: 10 });
  const { models: second } = await app.query(LIST, { search: 'apples', first: 10, after: first.pageInfo.endCursor });

  expect([...first.nodes, ...second.nodes].map(({ name }: Data) => name)).toEqual(whole.slice(0, 20));
});

const FACETS = `query ($search: String, $filter: ModelFilter) {
  models(search: $search, filter: $filter) { facets { field buckets { value label count selected } } }
}`;

async function facetsOf(variables: Record<string, unknown>): Promise<Record<string, Data[]>> {
  const { models } = await app.query(FACETS, variables);
  return Object.fromEntries(models.facets.map(({ field, buckets }: Data) => [field, buckets]));
}

test('each facet counts the models that meet the filter without its condition on this facet', async () => {
  const facets = await facetsOf({ filter: { tags: ['even'], licenses: ['apache-2.0'] } });

  expect(facets['TAG']).toEqual([
    { value: 'all', label: 'all', count: 12, selected: false },
    { value: 'even', label: 'even', count: 6, selected: true },
    { value: 'odd', label: 'odd', count: 6, selected: false },
  ]);
  expect(facets['LICENSE']).toEqual([
    { value: 'mit', label: 'MIT', count: 24, selected: false },
    { value: 'apache-2.0', label: 'Apache 2.0', count: 6, selected: true },
  ]);
  expect(facets['FRAMEWORK']).toEqual([{ value: 'tensorflow', label: 'TensorFlow', count: 6, selected: false }]);
  expect(facets['TASK']).toEqual([
    { value: 'TABULAR_CLASSIFICATION', label: 'Tabular classification', count: 4, selected: false },
    { value: 'TENSOR', label: 'Tensor', count: 2, selected: false },
  ]);
  expect(facets['OWNER']?.map(({ count }) => count)).toEqual([3, 3]);
});

test('with a condition on one facet only, this facet counts all models, and selected values that no model has are listed', async () => {
  const facets = await facetsOf({ filter: { tags: ['even', 'nowhere', 'nowhere'], tasks: [] } });

  expect(facets['TAG']).toEqual([
    { value: 'all', label: 'all', count: 60, selected: false },
    { value: 'even', label: 'even', count: 30, selected: true },
    { value: 'odd', label: 'odd', count: 30, selected: false },
    { value: 'nowhere', label: 'nowhere', count: 0, selected: true },
  ]);
  expect(facets['TASK']?.map(({ count }) => count)).toEqual([20, 10]);
});

test('the facets of a search count its matches, with the other conditions of the filter', async () => {
  const facets = await facetsOf({ search: 'apples', filter: { owners: ['owner-0'] } });

  expect(facets['OWNER']).toEqual([
    { value: 'owner-0', label: 'owner-0', count: 15, selected: true },
    { value: 'owner-2', label: 'owner-2', count: 15, selected: false },
  ]);
  expect(facets['TAG']).toEqual([
    { value: 'all', label: 'all', count: 15, selected: false },
    { value: 'even', label: 'even', count: 15, selected: false },
  ]);
});

test('the headline of a model is the first metric of its evaluation, with a title', async () => {
  const { model } = await app.query('{ model(name: "m006") { headline { name title unit value } } }');

  expect(model.headline).toEqual({ name: 'accuracy', title: 'Accuracy', unit: null, value: 6 / COUNT });
});

test.each([
  ['a page size of 0', { first: 0 }],
  ['a page size over the limit', { first: 101 }],
  ['a malformed cursor', { after: 'nonsense' }],
])('%s is refused as BAD_USER_INPUT', async (_, variables) => {
  const { errors } = await app.send(LIST, variables);

  expect(errors?.[0]?.extensions['code']).toBe('BAD_USER_INPUT');
});

test('a cursor from another order, filter or search is refused', async () => {
  const { models } = await app.query(LIST, { first: 1 });
  const after = models.pageInfo.endCursor;
  for (const other of [{ orderBy: { field: 'CREATED_AT' } }, { filter: { tags: ['even'] } }, { search: 'apples' }]) {
    const { errors } = await app.send(LIST, { ...other, after });

    expect(errors?.[0]?.extensions['code']).toBe('BAD_USER_INPUT');
  }
});
