/** Who may see what: one rule, in SQL and in memory, and every query function narrows by it. */
import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { authenticate, type Principal, SYSTEM } from '#src/access/principal.js';
import { maySee } from '#src/access/visibility.js';
import { findDatasetsByNames, findTrainingDatasets } from '#src/catalog/dataset.queries.js';
import { countFacets, findModelPage, findModelsByNames, findTags } from '#src/catalog/model.queries.js';
import { findAliases, findVersionPages, findVersionsByIds } from '#src/catalog/version.queries.js';
import { type Databases, openDatabases } from '#src/storage/database.js';
import { fillCatalog } from '../support/large-catalog.js';

const OTHER = authenticate({ socket: { remoteAddress: '192.0.2.7' } });
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

/** The model m000, owned by `owner-0`, with a version and an alias; private from now on. */
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
] as const)('SQL and memory agree about a %s model of %s', async (visibility, owner) => {
  await databases.catalogDb.updateTable('model').set({ visibility, owner }).where('name', '=', 'm001').execute();

  for (const principal of [OTHER, OWNER, SYSTEM]) {
    const found = await findModelsByNames(databases.catalogDb, principal, ['m001']);
    expect({ principal, isSeen: found.length === 1 }).toEqual({
      principal,
      isSeen: maySee(principal, { visibility, owner }),
    });
  }
});

test.each(['public', 'private'] as const)('SQL and memory agree about a %s dataset', async (visibility) => {
  await databases.catalogDb.updateTable('dataset').set({ visibility }).execute();

  for (const principal of [OTHER, OWNER, SYSTEM]) {
    const found = await findDatasetsByNames(databases.catalogDb, principal, ['numbers']);
    expect(found.length === 1).toBe(maySee(principal, { visibility }));
  }
});

test('tags, aliases, versions and training data of a private model are for its owner only', async () => {
  const { modelId, versionId } = await hideModel();
  const db = databases.catalogDb;
  const counts = async (principal: Principal) => ({
    tags: (await findTags(db, principal, [modelId])).length,
    aliases: (await findAliases(db, principal, 'alias.model_id', [modelId])).length,
    aliasNames: (await findAliases(db, principal, 'alias.version_id', [versionId])).length,
    versions: (await findVersionsByIds(db, principal, [versionId])).length,
    pages: (await findVersionPages(db, principal, 'model', [modelId], PAGE)).get(modelId)?.edges.length,
    trainedOn: (await findTrainingDatasets(db, principal, [versionId])).length,
  });

  expect(await counts(OWNER)).toEqual({ tags: 2, aliases: 1, aliasNames: 1, versions: 1, pages: 5, trainedOn: 1 });
  expect(await counts(OTHER)).toEqual({ tags: 0, aliases: 0, aliasNames: 0, versions: 0, pages: 0, trainedOn: 0 });
});

test('counts and facets leave out private models', async () => {
  await hideModel();
  const seen = async (principal: Principal) => {
    const page = await findModelPage(databases.catalogDb, principal, {}, PAGE);
    const owners = (await countFacets(databases.catalogDb, principal, {})).find(({ field }) => field === 'OWNER');
    return {
      total: (await page.total()).count,
      owner: owners?.buckets.find(({ value }) => value === 'owner-0')?.count,
    };
  };

  expect(await seen(OWNER)).toEqual({ total: 5, owner: 2 });
  expect(await seen(OTHER)).toEqual({ total: 4, owner: 1 });
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
