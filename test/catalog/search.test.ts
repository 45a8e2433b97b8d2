/** What a search finds: every word of a card, whole prefixes, and nothing of the format. */
import { saveModel } from '#src/catalog/registration.queries.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { fillCatalog } from '../support/large-catalog.js';

const CARD = `# Digits

Reads handwriting.

## Intended use

Classification of scanned digits.
Paragraphs may start anywhere.
- **Bold** items, [links](https://example.org/hidden) and <b>tags</b>

| Column | Value |
| ------ | ----- |
| accuracy | good |
`;
const MODELS = 'query ($search: String!) { models(search: $search, first: 100) { totalCount nodes { name } } }';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ empty: true, modelStore: '/nowhere' });
  await fillCatalog(app.app.databases.catalogDb, 3);
  await save({ name: 'digits', title: 'Digits', markdown: CARD });
});
afterAll(() => app.stop());

function save({ name, title, markdown }: { name: string; title: string; markdown: string }): Promise<string> {
  const rest = {
    summary: null,
    task: 'TENSOR',
    owner: null,
    account: null,
    license: null,
    retention_days: null,
    tags: ['ocr'],
  };
  const card = JSON.stringify({ markdown, intendedUse: null });
  return app.app.databases.catalogDb
    .transaction()
    .execute((trx) => saveModel(trx, { ...rest, name, title, card }, Date.now()));
}

async function found(search: string): Promise<string[]> {
  const { models } = await app.query(MODELS, { search });
  return models.nodes.map(({ name }: Data) => name);
}

test.each(
  'digits reads handwriting intended use classification of scanned paragraphs may start anywhere bold items links tags column accuracy good ocr'.split(
    ' ',
  ),
)('the word %j of a card is found, wherever its line starts', async (word) => {
  expect(await found(word)).toContain('digits');
});

test.each(['markdown', 'intendedUse', 'null', 'example', 'hidden'])(
  'the word %j, which is of the format only, is not found',
  async (word) => {
    expect(await found(word)).toEqual([]);
  },
);

test.each(['classificat', 'classifica', 'handwritin', 'scann', 'di'])('the prefix %j is found', async (prefix) => {
  expect(await found(prefix)).toEqual(['digits']);
});

test.each(['classifications', 'intending digit', 'scanning', 'paragraph starts', 'linking items'])(
  '%j is found in other inflections',
  async (search) => {
    expect(await found(search)).toEqual(['digits']);
  },
);

test('a prefix has at least two letters', async () => {
  expect(await found('c')).toEqual([]);
  expect(await found('cl')).toEqual(['digits']);
});

test('a changed card is found by its new words only', async () => {
  await save({ name: 'changed', title: 'Changed', markdown: 'zebra' });
  await save({ name: 'changed', title: 'Changed', markdown: 'giraffe' });

  expect(await found('zebra')).toEqual([]);
  expect(await found('giraffe')).toEqual(['changed']);
});

test('totals and facets are counted once, and again after the catalog has changed', async () => {
  const file = app.app.databases.catalogFile;
  const count = async () => {
    const before = file.statementCount;
    const { models } = await app.query(
      '{ models(first: 1) { totalCount totalCountCapped facets { field buckets { count } } } }',
    );
    return { total: models.totalCount, statements: file.statementCount - before };
  };
  const first = await count();
  const second = await count();
  await save({ name: 'another', title: 'Another', markdown: '' });
  const third = await count();

  expect(first.statements).toBe(3);
  expect(second).toEqual({ ...first, statements: 1 });
  expect(third).toEqual({ total: first.total + 1, statements: 3 });
});

test('models that an earlier version stored are indexed at the next start', async () => {
  const db = app.app.databases.catalogDb;
  await db.updateTable('model').set({ search_id: null }).where('name', '=', 'digits').execute();
  expect(await found('handwriting')).toEqual([]);
  const { dataDir } = app;
  await app.app.stop();

  app = { ...(await startTestApp({ dataDir, modelStore: '/nowhere' })), stop: app.stop };

  expect(await found('handwriting')).toEqual(['digits']);
});
