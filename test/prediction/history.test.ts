/** Every page and total of the history is what a look at each prediction would find, whichever index serves it. */
import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Kysely } from 'kysely';
import { Migrator } from 'kysely/migration';
import { SYSTEM } from '#src/access/principal.js';
import { findPredictionPage } from '#src/prediction/prediction.queries.js';
import {
  type Databases,
  openDatabases,
  type PredictionDatabase,
  type PredictionTables,
} from '#src/storage/database.js';
import { firstIdAt } from '#src/storage/ids.js';
import { predictionMigrations } from '#src/storage/migrations/predictions.js';
import { SqliteFile } from '#src/storage/sqlite.js';
import { SqliteFileDialect } from '#src/storage/sqlite-dialect.js';
import { below, pick, seeded } from '../support/seeded-random.js';

const PREDICTIONS = 400;
const VERSIONS = Array.from({ length: 12 }, (_, i) => `version_${i}`);
const LABELS = ['ham', 'spam', 'rare', null];
const PRINCIPALS = ['a', 'b'];
const PAGE = 7;

let folder: string;
let databases: Databases;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'modelgraph-history-'));
});
afterEach(async () => {
  await databases.close();
  await rm(folder, { recursive: true, force: true });
});

/** In the order of their ids. The newest predictions of a version can be older than all of another one. */
function somePredictions() {
  const random = seeded(1);
  return Array.from({ length: PREDICTIONS }, (_, i) => ({
    id: firstIdAt('Prediction', i),
    version_id: VERSIONS[Math.min(below(random, VERSIONS.length), Math.floor(i / 20))] as string,
    principal_id: pick(random, PRINCIPALS),
    created_at: i,
    input: '{}',
    input_sha256: null,
    answer: '{}',
    label: pick(random, LABELS),
    timing: '{}',
    runtime: '{}',
    truncated: 0,
  }));
}

type Row = ReturnType<typeof somePredictions>[number];

/** As `somePredictions`, but the answers of every third version have none to three labels. */
function withSeveralLabels() {
  const random = seeded(2);
  return somePredictions().map((row): Row & { labels: readonly string[] } => {
    if (VERSIONS.indexOf(row.version_id) % 3 > 0) return { ...row, labels: row.label === null ? [] : [row.label] };
    const labels = LABELS.filter((label) => label !== null && random() < 0.5) as string[];
    return { ...row, label: null, labels };
  });
}

async function insert(db: PredictionDatabase, rows: ReturnType<typeof withSeveralLabels>): Promise<void> {
  await db
    .insertInto('prediction')
    .values(rows.map(({ labels: _, ...row }) => row))
    .execute();
  const several = rows.filter(({ label }) => label === null);
  const labels = several.flatMap(({ id, version_id, labels: ofRow }) =>
    ofRow.map((label) => ({ version_id, label, prediction_id: id })),
  );
  await db.insertInto('answer_label').values(labels).execute();
}

const FILTERS = [null, ...LABELS].flatMap((label) =>
  [null, [], ['version_3'], VERSIONS.slice(2, 9), ['version_unused']].flatMap((versionIds) =>
    [{}, { since: new Date(50), until: new Date(300) }].map((range) => ({ label, versionIds, ...range })),
  ),
);
type Filter = (typeof FILTERS)[number] & { since?: Date; until?: Date };

async function listed(principalId: string, filter: Filter) {
  const ids: string[] = [];
  let [after, total]: [string | undefined, number] = [undefined, -1];
  do {
    const principal = { ...SYSTEM, id: principalId };
    const listing = { list: 'history', ...filter };
    const page = await findPredictionPage(databases.predictionDb, principal, listing, { first: PAGE, after });
    ids.push(...page.edges.map(({ node }) => node.id));
    total = (await page.total()).count;
    after = page.has.nextPage ? page.edges.at(-1)?.cursor : undefined;
  } while (after !== undefined);
  return { ids, total };
}

function expected(
  rows: readonly (Row & { labels?: readonly string[] })[],
  principalId: string,
  { label, versionIds, since, until }: Filter,
) {
  const ids = rows
    .filter((row) => row.principal_id === principalId)
    .filter((row) => label === null || (row.labels ?? [row.label]).includes(label))
    .filter((row) => versionIds === null || versionIds.includes(row.version_id))
    .filter((row) => !since || row.created_at >= since.getTime())
    .filter((row) => !until || row.created_at < until.getTime())
    .map(({ id }) => id);
  return { ids: ids.toReversed(), total: ids.length };
}

async function expectEveryList(rows: readonly Row[]): Promise<void> {
  for (const principalId of PRINCIPALS)
    for (const filter of FILTERS)
      expect(await listed(principalId, filter)).toEqual(expected(rows, principalId, filter));
}

test('all filters list the predictions of their principal, newest first, page by page, also by one of several labels', async () => {
  databases = await openDatabases(folder);
  const rows = withSeveralLabels();
  await insert(databases.predictionDb, rows);

  await expectEveryList(rows);
});

test('the history of an earlier release is listed as before', async () => {
  const file = await SqliteFile.open(path.join(folder, 'predictions.db'));
  const db = new Kysely<PredictionTables>({ dialect: new SqliteFileDialect(file) });
  const migrator = new Migrator({ db, provider: { getMigrations: async () => predictionMigrations } });
  await migrator.migrateTo('003_truncated');
  await db.insertInto('prediction').values(somePredictions()).execute();
  await file.close();

  databases = await openDatabases(folder);

  await expectEveryList(somePredictions());
});
