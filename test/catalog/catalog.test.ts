/** Models, versions, aliases and datasets, and the links between them. */
import { SYSTEM } from '#src/access/principal.js';
import { moveAlias } from '#src/catalog/alias.queries.js';
import { type Data, startTestApp, type TestApp } from '../support/app.js';
import { fillCatalog } from '../support/large-catalog.js';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
  await fillCatalog(app.app.databases.catalogDb, 2);
});
afterAll(() => app.stop());

async function refOf(ref: string): Promise<string | null> {
  return (await app.query('query ($ref: VersionRef!) { version(ref: $ref) { ref } }', { ref })).version?.ref ?? null;
}

test('a reference resolves to the newest version, an alias or a number', async () => {
  const { catalogDb } = app.app.databases;
  const { version } = await app.query('{ version(ref: "m000:2") { id model { id } } }');
  const move = { modelId: version.model.id, alias: 'stable', versionId: version.id, author: SYSTEM };
  await catalogDb.transaction().execute((trx) => moveAlias(trx, { ...move, reason: null, restores: null }, 1));

  expect(await refOf('m000')).toBe('m000:5');
  expect(await refOf('m000@stable')).toBe('m000:2');
  expect(await refOf('m000:3')).toBe('m000:3');
  expect(await refOf('m000:9')).toBeNull();
  expect(await refOf('m000@nobody')).toBeNull();
  expect(await refOf('nothing')).toBeNull();
});

test('malformed references are refused', async () => {
  const wrong = ['', 'M000', 'm000:', 'm000@', 'm000:0', 'm000:x', 'm000@1st', 'm000@a:1', '../etc', 'a'.repeat(65)];
  for (const ref of wrong) {
    const { errors } = await app.send('query ($ref: VersionRef!) { version(ref: $ref) { ref } }', { ref });

    const { extensions } = errors?.[0] ?? {};
    expect({ ref, extensions }).toMatchObject({
      ref,
      extensions: { code: 'BAD_USER_INPUT', problems: [{ path: ['ref'] }] },
    });
  }
});

test('a version links to its training data and evaluations, and both link back', async () => {
  const { version, dataset } = await app.query(`{
    version(ref: "spam-filter") { id trainedOn { name trainedVersions { nodes { id } } } evaluations { nodes { id dataset { name } } } }
    dataset(name: "spamassassin-test") { evaluations { totalCount nodes { id evaluatedVersion { id } } } trainedVersions { totalCount } family }
  }`);

  const names = version.trainedOn.map(({ name }: { name: string }) => name);
  expect(names.sort()).toEqual(['short-messages-train', 'spamassassin-train']);
  for (const { trainedVersions } of version.trainedOn) expect(trainedVersions.nodes).toContainEqual({ id: version.id });
  const evaluation = version.evaluations.nodes.find(
    (node: { dataset: { name: string } }) => node.dataset.name === 'spamassassin-test',
  );
  expect(dataset.evaluations.nodes).toContainEqual({ id: evaluation.id, evaluatedVersion: { id: version.id } });
  expect(dataset.evaluations.totalCount).toBe(dataset.evaluations.nodes.length);
  expect(dataset.trainedVersions.totalCount).toBe(0);
});

test('a card has sections and the whole text, and a dataset has a preview of its rows', async () => {
  const { model, dataset } = await app.query(`{
    model(name: "spam-filter") { title summary license card { intendedUse limitations trainingData evaluationData ethicalConsiderations markdown } }
    dataset(name: "breast-cancer-test") { rowCount sha256 target columns { name type unit } preview(first: 3) }
  }`);

  for (const section of Object.values(model.card) as string[]) expect(section.length).toBeGreaterThan(20);
  expect(model.card.markdown).toContain(model.card.limitations);
  expect(dataset).toMatchObject({ rowCount: 171, target: 'label', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(dataset.preview).toHaveLength(3);
  expect(dataset.columns.length).toBe(31);
});

test('an evaluation is selected by dataset and origin', async () => {
  const { version } = await app.query(`{ version(ref: "m001:1") {
    own: evaluation { dataset { name } metrics { value } } computed: evaluation(origin: COMPUTED) { id } other: evaluation(dataset: "none") { id } } }`);

  expect(version).toEqual({
    own: { dataset: { name: 'numbers' }, metrics: [{ value: 0.5 }] },
    computed: null,
    other: null,
  });
});

test('nodes returns objects of every type in the order of their ids, and null for unknown ids', async () => {
  const { version, prediction } = await app.query(
    `{ version(ref: "spam-filter") { id model { id } trainedOn { id } evaluation { id } } prediction(id: "x") { id } }`,
  );
  const { predict } = await app.query(
    'mutation { predict(input: { model: "spam-filter", input: { text: "hi" } }) { prediction { id } } }',
  );
  const ids = [
    version.id,
    version.model.id,
    version.trainedOn[0].id,
    version.evaluation.id,
    predict.prediction.id,
    'model_nothing',
    'x',
    '',
  ];

  const { nodes } = await app.query('query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }', { ids });
  const { errors } = await app.send('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids: Array(101).fill('x') });

  expect(prediction).toBeNull();
  expect(nodes.map((node: Data) => node?.__typename ?? null)).toEqual([
    'Version',
    'Model',
    'Dataset',
    'Evaluation',
    'Prediction',
    null,
    null,
    null,
  ]);
  expect(nodes.slice(0, 5).map(({ id }: Data) => id)).toEqual(ids.slice(0, 5));
  expect(errors?.[0]?.extensions['code']).toBe('BAD_USER_INPUT');
});

test('datasets are listed in order of name, over several pages', async () => {
  const { datasets } = await app.query('{ datasets(first: 2) { totalCount nodes { name } pageInfo { endCursor } } }');
  const { datasets: next } = await app.query('query ($after: String) { datasets(after: $after) { nodes { name } } }', {
    after: datasets.pageInfo.endCursor,
  });

  const names = [...datasets.nodes, ...next.nodes].map(({ name }: Data) => name);
  expect(names).toHaveLength(datasets.totalCount);
  expect(names).toEqual(names.toSorted());
});
