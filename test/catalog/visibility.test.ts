/** Who may see what: one rule, in SQL and in memory, and every query function narrows by it. */
import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { localPrincipal, type Principal, SYSTEM } from '#src/access/principal.js';
import { maySee } from '#src/access/visibility.js';
import { findAliases } from '#src/catalog/alias.queries.js';
import { findDatasetsByNames, findTrainingDatasets } from '#src/catalog/dataset.queries.js';
import { countFacets } from '#src/catalog/facet.queries.js';
import type { ModelListing } from '#src/catalog/listing.queries.js';
import { findModelPage, findModelsByIds, findModelsByNames } from '#src/catalog/model.queries.js';
import type { MetricFilter } from '#src/catalog/model.type.js';
import { findVersionPages, findVersionsByIds } from '#src/catalog/version.queries.js';
import { type Databases, openDatabases } from '#src/storage/database.js';
import type { EvaluationTable } from '#src/storage/migrations/evaluation.table.js';
import { fillCatalog } from '../support/large-catalog.js';

const ADMIN = localPrincipal('192.0.2.7');
const OTHER: Principal = { ...ADMIN, roles: ['viewer'] };
const OWNER: Principal = { ...OTHER, id: 'owner-0' };
const PAGE = { first: 10 };

let dataDir: string;
let databases: Databases;
beforeAll(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-visibility-'));
  databases = await openDatabases(dataDir);
  await fillCatalog(databases.catalogDb, 5);
});
afterAll(async () => {
  await databases.close();
  await rm(dataDir, { recursive: true, force: true });
});
beforeEach(async () => {
  await databases.catalogDb.updateTable('model').set({ visibility: 'public' }).execute();
  await databases.catalogDb.updateTable('dataset').set({ visibility: 'public' }).execute();
});

/** The model m000, of the account `owner-0`, with a version and an alias; private from now on. */
async function hideModel(): Promise<{ modelId: string; versionId: string }> {
  const db = databases.catalogDb;
  const { id: modelId, default_version_id } = await db
    .selectFrom('model')
    .selectAll()
    .where('name', '=', 'm000')
    .executeTakeFirstOrThrow();
  const versionId = default_version_id as string;
  const alias = { model_id: modelId, name: 'champion', version_id: versionId, updated_at: 1 };
  await db
    .insertInto('alias')
    .values(alias)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await db.updateTable('model').set({ visibility: 'private' }).where('id', '=', modelId).execute();
  return { modelId, versionId };
}

test.each([
  ['public', null],
  ['public', 'owner-0'],
  ['public', 'anonymous'],
  ['private', null],
  ['private', 'owner-0'],
  ['private', 'anonymous'],
] as const)('SQL and memory agree about a %s model of %s', async (visibility, account) => {
  await databases.catalogDb.updateTable('model').set({ visibility, account }).where('name', '=', 'm001').execute();

  for (const principal of [OTHER, OWNER, ADMIN, SYSTEM]) {
    const found = await findModelsByNames(databases.catalogDb, principal, ['m001']);
    expect({ principal, isSeen: found.length === 1 }).toEqual({
      principal,
      isSeen: maySee(principal, { visibility, account }),
    });
  }
});

test.each(['public', 'private'] as const)('SQL and memory agree about a %s dataset', async (visibility) => {
  await databases.catalogDb.updateTable('dataset').set({ visibility }).execute();

  for (const principal of [OTHER, OWNER, ADMIN, SYSTEM]) {
    const found = await findDatasetsByNames(databases.catalogDb, principal, ['numbers']);
    expect(found.length === 1).toBe(maySee(principal, { visibility }));
  }
});

test('tags, aliases, versions and training data of a private model are for its account and administrators only', async () => {
  const { modelId, versionId } = await hideModel();
  const db = databases.catalogDb;
  const counts = async (principal: Principal) => ({
    tags: (await findModelsByIds(db, principal, [modelId])).flatMap(({ tags }) => tags).length,
    aliases: (await findAliases(db, principal, 'alias.model_id', [modelId])).length,
    aliasNames: (await findAliases(db, principal, 'alias.version_id', [versionId])).length,
    versions: (await findVersionsByIds(db, principal, [versionId])).length,
    pages: (await findVersionPages(db, principal, 'model', [modelId], PAGE)).get(modelId)?.edges.length,
    trainedOn: (await findTrainingDatasets(db, principal, [versionId])).length,
  });

  for (const principal of [OWNER, ADMIN])
    expect(await counts(principal)).toEqual({
      tags: 2,
      aliases: 1,
      aliasNames: 1,
      versions: 1,
      pages: 5,
      trainedOn: 1,
    });
  expect(await counts(OTHER)).toEqual({ tags: 0, aliases: 0, aliasNames: 0, versions: 0, pages: 0, trainedOn: 0 });
});

test('counts and facets leave out private models', async () => {
  await hideModel();
  const seen = async (principal: Principal, listing: ModelListing) => {
    const page = await findModelPage(databases.catalogDb, principal, listing, PAGE);
    const facets = await countFacets(databases.catalogDb, principal, listing);
    const countOf = (of: string, wanted: string) =>
      facets.find(({ field }) => field === of)?.buckets.find(({ value }) => value === wanted)?.count;
    return { total: (await page.total()).count, owner: countOf('OWNER', 'owner-0'), tag: countOf('TAG', 'all') };
  };

  for (const listing of [{}, { filter: { tags: ['all'] } }, { search: 'number' }]) {
    expect(await seen(OWNER, listing)).toEqual({ total: 5, owner: 2, tag: 5 });
    expect(await seen(OTHER, listing)).toEqual({ total: 4, owner: 1, tag: 4 });
  }
});

test('a filter by metric finds the same models whether few or many values meet it', async () => {
  const db = databases.catalogDb;
  const { id } = await db.selectFrom('dataset').select('id').where('name', '=', 'numbers').executeTakeFirstOrThrow();
  const { name: hidden, default_version_id: version_id } = await db
    .selectFrom('model')
    .selectAll()
    .where('name', '=', 'm003')
    .executeTakeFirstOrThrow();
  const found = async (principal: Principal, metric: MetricFilter) =>
    (await findModelPage(db, principal, { filter: { metric } }, PAGE)).edges.map(({ node }) => node.name);
  const all = async (principal: Principal) => ({
    any: await found(principal, { metric: 'accuracy', min: 0.7 }),
    onDataset: await found(principal, { metric: 'accuracy', min: 0.7, dataset: 'numbers' }),
    onOther: await found(principal, { metric: 'accuracy', min: 0.7, dataset: 'others' }),
    upTo: await found(principal, { metric: 'accuracy', max: 5 }),
    none: await found(principal, { metric: 'accuracy', min: 20 }),
    other: await found(principal, { metric: 'recall' }),
  });
  const few = await all(OTHER);
  expect(few).toEqual({
    any: ['m004'],
    onDataset: ['m004'],
    onOther: [],
    upTo: ['m000', 'm001', 'm002', 'm003', 'm004'],
    none: [],
    other: [],
  });

  // From 1 to 2, so that `upTo` has many values, too.
  const evaluation = { id: 'evaluation_many', version_id, dataset_id: id, origin: 'IMPORTED', job_state: 'SUCCEEDED' };
  await db
    .insertInto('evaluation')
    .values({ ...evaluation, evaluated_rows: null, created_at: 1, finished_at: 1 } as EvaluationTable)
    .execute();
  await databases.catalogFile.write(
    `insert into metric (evaluation_id, ordinal, name, value, higher_is_better)
     with recursive i(n) as (select 0 union all select n + 1 from i where n < 20001)
     select 'evaluation_many', n, 'accuracy', 1 + n / 20001.0, 1 from i`,
    [],
  );

  expect(await all(OTHER)).toEqual({ ...few, any: ['m003', 'm004'], onDataset: ['m003', 'm004'] });
  await db.updateTable('model').set({ visibility: 'private' }).where('name', '=', hidden).execute();
  expect((await all(OTHER)).any).toEqual(['m004']);
  expect((await all({ ...OTHER, id: 'owner-3' })).any).toEqual(['m003', 'm004']);
  await db.updateTable('dataset').set({ visibility: 'private' }).execute();
  expect(await all(OTHER)).toEqual({ any: [], onDataset: [], onOther: [], upTo: [], none: [], other: [] });
  expect((await all(SYSTEM)).onDataset).toEqual(['m003', 'm004']);
  await db.deleteFrom('evaluation').where('id', '=', 'evaluation_many').execute();
});

test('a private dataset shows neither its trained versions nor the models that do well on it', async () => {
  const db = databases.catalogDb;
  const { id } = await db.selectFrom('dataset').select('id').executeTakeFirstOrThrow();
  const seen = async (principal: Principal) => ({
    trained: (await findVersionPages(db, principal, 'dataset', [id], PAGE)).get(id)?.edges.length,
    good: (
      await findModelPage(
        db,
        principal,
        { filter: { metric: { metric: 'accuracy', dataset: 'numbers', min: 0.5 } } },
        PAGE,
      )
    ).edges.length,
  });
  expect(await seen(OTHER)).toEqual({ trained: 10, good: 5 });

  await db.updateTable('dataset').set({ visibility: 'private' }).execute();

  expect(await seen(SYSTEM)).toEqual({ trained: 10, good: 5 });
  expect(await seen(OTHER)).toEqual({ trained: 0, good: 0 });
});
