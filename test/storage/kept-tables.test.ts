/** The tables that triggers keep have exactly what the other tables say, whatever is written and in which order. */
import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { SYSTEM } from '#src/access/principal.js';
import { moveAlias } from '#src/catalog/alias.queries.js';
import { addVersion, saveModel } from '#src/catalog/registration.queries.js';
import { insertEvaluation } from '#src/evaluation/evaluation.queries.js';
import { type CatalogDatabase, type CatalogTables, openDatabases } from '#src/storage/database.js';
import { catalogMigrations } from '#src/storage/migrations/catalog.js';
import { indexMissing } from '#src/storage/search.js';
import { SqliteFile } from '#src/storage/sqlite.js';
import { SqliteFileDialect } from '#src/storage/sqlite-dialect.js';
import { fillCatalogFile } from '../bench/growth-data.js';
import { fillCatalog, metricOf, modelOf, versionOf } from '../support/large-catalog.js';
import { below, pick, type Random, seeded } from '../support/seeded-random.js';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-kept-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

async function keptMetrics(db: CatalogDatabase) {
  return (await db.selectFrom('model_metric').selectAll().execute()).map((row) => JSON.stringify(row)).sort();
}

async function computedMetrics(db: CatalogDatabase) {
  const { rows } = await sql<object>`
    select distinct model.search_id, metric.name, metric.value, evaluation.dataset_id
    from model, evaluation, metric
    where evaluation.version_id = model.default_version_id and evaluation.job_state = 'SUCCEEDED'
      and metric.evaluation_id = evaluation.id and metric.label is null and metric.value is not null
      and model.search_id is not null`.execute(db);
  return rows.map((row) => JSON.stringify(row)).sort();
}

async function keptScores(db: CatalogDatabase) {
  return (await db.selectFrom('model_score').selectAll().execute()).map((row) => JSON.stringify(row)).sort();
}

/** As `Version.evaluation` chooses: computed ones first, then the newest. */
async function computedScores(db: CatalogDatabase) {
  const metrics = await db.selectFrom('metric').selectAll().where('label', 'is', null).orderBy('ordinal').execute();
  const evaluations = await db.selectFrom('evaluation').selectAll().where('job_state', '=', 'SUCCEEDED').execute();
  const rows: string[] = [];
  for (const { id: model_id, search_id, default_version_id } of await db.selectFrom('model').selectAll().execute()) {
    if (search_id === null) continue;
    const own = evaluations.filter(({ version_id }) => version_id === default_version_id);
    for (const [dataset_id, on] of Map.groupBy(own, (one) => one.dataset_id)) {
      const rank = ({ origin, id }: (typeof on)[number]) => `${origin === 'COMPUTED' ? 1 : 0} ${id}`;
      const [best] = on.toSorted((a, b) => (rank(a) < rank(b) ? 1 : -1));
      const named = Map.groupBy(
        metrics.filter(({ evaluation_id }) => evaluation_id === best?.id),
        ({ name }) => name,
      );
      for (const [name, [first]] of named)
        if (first && first.value !== null)
          rows.push(JSON.stringify({ search_id, name, dataset_id, value: first.value, model_id }));
    }
  }
  return rows.sort();
}

async function keptCounts(db: CatalogDatabase) {
  const rows = await db.selectFrom('facet_count').selectAll().where('count', '<>', 0).execute();
  return rows.map((row) => JSON.stringify(row)).sort();
}

async function computedCounts(db: CatalogDatabase) {
  const counts = new Map<string, number>();
  const tags = await db.selectFrom('model_tag').selectAll().execute();
  for (const model of await db.selectFrom('model').selectAll().execute()) {
    const values = [
      ['TASK', model.task],
      ['LICENSE', model.license],
      ['FRAMEWORK', model.default_framework],
      ['OWNER', model.owner],
      ...tags.filter(({ model_id }) => model_id === model.id).map(({ tag }) => ['TAG', tag]),
    ];
    const account = model.visibility === 'public' ? '' : (model.account ?? '');
    for (const [field, value] of values) {
      const key = JSON.stringify({ field, value, visibility: model.visibility, account });
      if (value !== null) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return [...counts].map(([key, count]) => JSON.stringify({ ...JSON.parse(key), count })).sort();
}

async function expectExact(db: CatalogDatabase): Promise<void> {
  expect(await keptMetrics(db)).toEqual(await computedMetrics(db));
  expect(await keptScores(db)).toEqual(await computedScores(db));
  expect(await keptCounts(db)).toEqual(await computedCounts(db));
}

/** Writes of the import, and those of an operator who changes the database by hand. */
const WRITES: Readonly<Record<string, (db: CatalogDatabase, random: Random) => Promise<unknown>>> = {
  saveModel: (db, random) =>
    db.transaction().execute((trx) => {
      const model = modelOf(below(random, 8));
      return saveModel(trx, { ...model, license: random() < 0.5 ? null : 'mit', tags: tagsFrom(random) }, 2);
    }),
  addVersion: async (db, random) => {
    const { id } = await oneOf(db, random, 'model');
    const { last } = await db
      .selectFrom('version')
      .select((eb) => eb.fn.max('number').as('last'))
      .where('model_id', '=', id)
      .executeTakeFirstOrThrow();
    const version = versionOf(id, (last ?? 0) + 1, below(random, 2));
    await db.transaction().execute((trx) => addVersion(trx, version, [], 2));
  },
  moveAlias: async (db, random) => {
    const { id, model_id } = await oneOf(db, random, 'version');
    const move = { modelId: model_id, alias: 'champion', versionId: id, author: SYSTEM, reason: null, restores: null };
    await db.transaction().execute((trx) => moveAlias(trx, move, 2));
  },
  insertEvaluation: async (db, random) => {
    const evaluation = {
      version_id: (await oneOf(db, random, 'version')).id,
      dataset_id: (await oneOf(db, random, 'dataset')).id,
      origin: random() < 0.3 ? ('COMPUTED' as const) : ('IMPORTED' as const),
      evaluated_rows: null,
    };
    const others = [
      { ...metricOf(9), label: 'a' },
      { ...metricOf(0), value: null },
      { ...metricOf(1), name: 'f1' },
    ];
    const metrics = random() < 0.2 ? others : [metricOf(below(random, 3)), ...others];
    await insertEvaluation(db, evaluation, metrics, 2);
  },
  changeState: async (db, random) => {
    const { id } = await oneOf(db, random, 'evaluation');
    const job_state = random() < 0.5 ? 'RUNNING' : 'SUCCEEDED';
    await db.updateTable('evaluation').set({ job_state }).where('id', '=', id).execute();
  },
  deleteEvaluation: async (db, random) => {
    const { id } = await oneOf(db, random, 'evaluation');
    await db.deleteFrom('evaluation').where('id', '=', id).execute();
  },
  hide: async (db, random) => {
    const { id } = await oneOf(db, random, 'model');
    const [visibility, account] = [random() < 0.5 ? 'private' : 'public', random() < 0.3 ? null : 'someone'] as const;
    await db.updateTable('model').set({ visibility, account }).where('id', '=', id).execute();
    // As a migration does, and the next start indexes it again.
    if (visibility === 'private') await db.updateTable('model').set({ search_id: null }).where('id', '=', id).execute();
  },
  deleteModel: async (db, random) => {
    const { id, name } = await oneOf(db, random, 'model');
    await db.deleteFrom('alias').where('model_id', '=', id).execute();
    await db.deleteFrom('model').where('name', '=', name).execute();
  },
};

function tagsFrom(random: Random): string[] {
  return ['a', 'b', 'c'].filter(() => random() < 0.5);
}

async function oneOf<Table extends 'model' | 'version' | 'evaluation' | 'dataset'>(
  db: CatalogDatabase,
  random: Random,
  table: Table,
) {
  const rows = await db
    .selectFrom(table as 'version')
    .selectAll()
    .orderBy('id')
    .execute();
  return pick(random, rows) as unknown as CatalogTables[Table];
}

test.each([1, 2, 3])('after each of many writes the kept tables are exact (seed %i)', async (seed) => {
  const databases = await openDatabases(dataDir);
  const db = databases.catalogDb;
  await fillCatalog(db, 6);
  await expectExact(db);
  const random = seeded(seed);
  const names = Object.keys(WRITES);

  for (let i = 0; i < 60; i++) {
    const { left } = await db
      .selectFrom('evaluation')
      .innerJoin('version', 'version.id', 'evaluation.version_id')
      .select((eb) => eb.fn.count<number>('version.model_id').distinct().as('left'))
      .executeTakeFirstOrThrow();
    // Something is left for the other writes.
    const name = pick(random, left > 2 ? names : names.filter((one) => !one.startsWith('delete')));
    await WRITES[name]?.(db, random);
    await expectExact(db);
  }
  await databases.close();
});

test('a data folder of an earlier release gets the kept tables, also for models that are indexed for search later', async () => {
  const file = await SqliteFile.open(path.join(dataDir, 'catalog.db'));
  const earlier = new Kysely<CatalogTables>({ dialect: new SqliteFileDialect(file) });
  const provider = { getMigrations: async () => catalogMigrations };
  await new Migrator({ db: earlier, provider }).migrateTo('009_retention');
  await file.close();
  fillCatalogFile(dataDir, 20);
  const filled = await SqliteFile.open(path.join(dataDir, 'catalog.db'));
  await filled.write("update model set search_id = rowid where name < 'm000010'", []);
  await filled.close();

  const databases = await openDatabases(dataDir);
  const db = databases.catalogDb;
  await expectExact(db);
  expect(await keptMetrics(db)).toHaveLength(100);
  await indexMissing(db);

  await expectExact(db);
  expect(await keptMetrics(db)).toHaveLength(200);
  await databases.close();
});
