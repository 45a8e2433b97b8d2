/**
 * The two databases: the catalog (rare writes, many joins) and the predictions (many writes, own file, own retention).
 *
 * The central map of tables; each slice owns its rows in a `*.table.ts` leaf.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Kysely } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import type {
  AliasTable,
  DatasetTable,
  ModelTable,
  ModelTagTable,
  VersionDatasetTable,
  VersionTable,
} from '../catalog/catalog.table.js';
import { StartupError } from '../errors.js';
import type { EvaluationTable, MetricTable } from '../evaluation/evaluation.table.js';
import type { IdempotencyTable, PredictionTable } from '../prediction/prediction.table.js';
import { catalogMigrations } from './migrations/catalog.js';
import { predictionMigrations } from './migrations/predictions.js';
import { SqliteFile, SqliteFileDialect } from './sqlite.js';

export interface CatalogTables {
  model: ModelTable;
  model_tag: ModelTagTable;
  model_fts: { model_id: string; name: string; title: string; summary: string; tags: string; card: string };
  version: VersionTable;
  alias: AliasTable;
  dataset: DatasetTable;
  version_dataset: VersionDatasetTable;
  evaluation: EvaluationTable;
  metric: MetricTable;
}
export type CatalogDatabase = Kysely<CatalogTables>;

export interface PredictionTables {
  prediction: PredictionTable;
  idempotency: IdempotencyTable;
}
export type PredictionDatabase = Kysely<PredictionTables>;

export interface Databases {
  readonly catalog: CatalogDatabase;
  readonly predictions: PredictionDatabase;
  readonly catalogFile: SqliteFile;
  readonly predictionsFile: SqliteFile;
}

const READERS = 2;

export async function openDatabases(dataDir: string): Promise<Databases> {
  await mkdir(dataDir, { recursive: true });
  const [catalogFile, predictionsFile] = await openAll(
    path.join(dataDir, 'catalog.db'),
    path.join(dataDir, 'predictions.db'),
  );
  const catalog = new Kysely<CatalogTables>({ dialect: new SqliteFileDialect(catalogFile) });
  const predictions = new Kysely<PredictionTables>({ dialect: new SqliteFileDialect(predictionsFile) });
  await migrate(catalog, catalogMigrations);
  await migrate(predictions, predictionMigrations);
  return { catalog, predictions, catalogFile, predictionsFile };
}

/** When one of them cannot be opened, the others are closed again. */
async function openAll(...files: readonly [string, string]): Promise<[SqliteFile, SqliteFile]> {
  const opened = await Promise.allSettled(files.map((file) => SqliteFile.open(file, READERS)));
  const failed = opened.find((one) => one.status === 'rejected');
  if (!failed)
    return opened.map((one) => (one as PromiseFulfilledResult<SqliteFile>).value) as [SqliteFile, SqliteFile];
  await Promise.all(opened.map((one) => (one.status === 'fulfilled' ? one.value.close() : null)));
  throw failed.reason;
}

export async function closeDatabases(databases: Databases): Promise<void> {
  await Promise.all([databases.catalogFile.close(), databases.predictionsFile.close()]);
}

async function migrate<T>(db: Kysely<T>, migrations: Record<string, Migration>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error)
    throw new StartupError(`The database could not be migrated: ${error instanceof Error ? error.message : error}`);
}
