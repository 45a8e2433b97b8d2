/** The number of SQL statements of a page does not depend on its size or position. */
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { fillCatalog, VERSIONS_EACH } from '../support/large-catalog.js';

const listOf = (fields: string) => `query ($first: Int!, $after: String) {
  models(first: $first, after: $after) { nodes { ${fields} } pageInfo { endCursor hasNextPage } }
}`;
const DEFAULT_VERSION = 'name tags aliases { name } version { ref evaluation { metrics { value } dataset { name } } }';
const VERSIONS = `name versions(first: 2) {
  totalCount
  nodes {
    ref aliasNames model { name }
    trainedOn { name trainedVersions(first: 2) { nodes { ref } } }
    evaluations(first: 2) { nodes { onTrainingData metrics { name value } dataset { name } evaluatedVersion { ref } } }
  }
}`;

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ empty: true, modelStore: '/nowhere' });
  await fillCatalog(app.app.databases.catalogDb, 120);
});
afterAll(() => app.stop());

async function page(
  fields: string,
  first: number,
  after: string | null,
): Promise<{ models: Data; statements: number }> {
  const file = app.app.databases.catalogFile;
  const before = file.statementCount;
  const { models } = await app.query(listOf(fields), { first, after });
  return { models, statements: file.statementCount - before };
}

test.each([
  ['the default version', DEFAULT_VERSION, 5],
  ['gates', 'name gates { alias attempts conditions { name } }', 2],
  ['the headline', 'name headline { title value unit }', 3],
  ['all versions', VERSIONS, 12],
])(
  'a page of 1 model with %s, a page of 100 and the last page take the same number of statements',
  async (_, fields, count) => {
    const one = await page(fields, 1, null);
    const hundred = await page(fields, 100, null);
    const last = await page(fields, 100, hundred.models.pageInfo.endCursor);

    expect(hundred.models.nodes).toHaveLength(100);
    expect(last.models.nodes).toHaveLength(20);
    expect([one, hundred, last].map(({ statements }) => statements)).toEqual([count, count, count]);
  },
);

// Children of one kind on two paths share a statement only if the reads before them end in the same turn.
test('a selection on two paths takes at most the statements of both', async () => {
  const apart = [await page(DEFAULT_VERSION, 100, null), await page(VERSIONS, 100, null)];
  const both = await page(`${DEFAULT_VERSION} ${VERSIONS}`, 100, null);

  expect(both.models.nodes[99].versions.nodes).toHaveLength(2);
  expect(both.models.nodes[99].versions.nodes[0].evaluations.nodes).toHaveLength(2);
  expect(both.statements).toBeLessThan(apart.reduce((sum, { statements }) => sum + statements, 0));
});

test('an ordinary page of a frontend costs at most half of what is allowed', async () => {
  const fields = `name title summary tags task aliases { name } version {
    ref evaluation { metrics { name value average label } dataset { name } } }`;
  const listing = (first: number, selected: string) =>
    app.send(`{ models(first: ${first}) { nodes { ${selected} } totalCount pageInfo { endCursor } } }`);

  for (const response of [
    await listing(25, fields),
    await listing(100, fields),
    await listing(100, 'name title tags'),
  ]) {
    expect(response.errors).toBeUndefined();
    expect(response.extensions?.['cost'].requested).toBeLessThanOrEqual(5_000);
  }
});

test('thirty aliases select versions by number with one statement, of one model and of a hundred', async () => {
  const aliases = Array.from({ length: 30 }, (_, i) => `v${i + 1}: version(number: ${i + 1}) { ref }`).join(' ');
  const file = app.app.databases.catalogFile;

  const before = file.statementCount;
  const { model } = await app.query(`{ model(name: "m001") { ${aliases} } }`);
  const afterOne = file.statementCount;
  const { models } = await app.query(`{ models(first: 100) { nodes { name ${aliases} } } }`);
  const afterHundred = file.statementCount;

  expect(model.v1.ref).toBe('m001:1');
  for (const { name, ...versions } of models.nodes) {
    const refs = Object.values(versions).map((version: Data) => version?.ref ?? null);
    expect(refs).toEqual(Array.from({ length: 30 }, (_, i) => (i < VERSIONS_EACH ? `${name}:${i + 1}` : null)));
  }
  expect([afterOne - before, afterHundred - afterOne]).toEqual([2, 2]);
});

test('the metrics of an evaluation are read with it; an alias without them is a statement of its own', async () => {
  const file = app.app.databases.catalogFile;
  const statementsOf = async (evaluations: string) => {
    const before = file.statementCount;
    const { models } = await app.query(`{ models(first: 100) { nodes { version { ${evaluations} } } } }`);
    return { versions: models.nodes.map(({ version }: Data) => version), statements: file.statementCount - before };
  };
  const fields = 'metrics(names: ["accuracy"]) { name value }';

  const [together, apart] = [
    await statementsOf(`b: evaluation { id ${fields} }`),
    await statementsOf(`a: evaluation { id } b: evaluation { id ${fields} }`),
  ];

  expect([together.statements, apart.statements]).toEqual([3, 4]);
  expect(together.versions[0].b.metrics).toEqual([{ name: 'accuracy', value: expect.any(Number) }]);
  expect(apart.versions).toEqual(together.versions.map(({ b }: Data) => ({ a: { id: b.id }, b })));
});
