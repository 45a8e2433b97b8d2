/**
 * The databases: the catalog (few writes, many joins), the predictions (many writes, own file, own retention), and the keys
 * that predictions are sealed with (own file, so that backups need not have them).
 *
 * The types of the rows are in the `*.table.ts` files next to the migrations.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Kysely } from 'kysely';
import { DEFAULT_MIGRATION_TABLE, type Migration, Migrator } from 'kysely/migration';
import { DamagedFileError, NewerSchemaError, StartupError, StorageFullError, StoreLockedError } from '../errors.js';
import type {
  ApiKeyTable,
  AuditHeadTable,
  AuditLogTable,
  RegisteredOperationTable,
} from './migrations/access.table.js';
import { catalogMigrations } from './migrations/catalog.js';
import type {
  AliasChangeTable,
  AliasTable,
  DatasetImageTable,
  DatasetPieceTable,
  DatasetTable,
  DeletedVersionTable,
  ErasureTable,
  FacetCountTable,
  GateAttemptTable,
  GateTable,
  LatencyTable,
  ModelMetricTable,
  ModelScoreTable,
  ModelTable,
  ModelTagTable,
  ModelUseTable,
  VersionDatasetTable,
  VersionTable,
} from './migrations/catalog.table.js';
import type {
  EvaluationJobTable,
  EvaluationPartTable,
  EvaluationPieceTable,
  EvaluationTable,
  MetricTable,
} from './migrations/evaluation.table.js';
import { keyMigrations } from './migrations/keys.js';
import type { DataKeyTable, MasterKeyTable } from './migrations/keys.table.js';
import type {
  AnswerLabelTable,
  IdempotencyTable,
  OutcomeTable,
  PictureTable,
  PredictionTable,
  QuotaUseTable,
} from './migrations/prediction.table.js';
import { predictionMigrations } from './migrations/predictions.js';
import type { PublicationTable, UploadTable } from './migrations/publishing.table.js';
import { SqliteFile } from './sqlite.js';
import { SqliteFileDialect } from './sqlite-dialect.js';
import { SqliteError } from './sqlite-error.js';
import { lockStore } from './store-lock.js';

interface SearchRow {
  rowid: number;
  name: string;
  title: string;
  summary: string;
  tags: string;
  card: string;
  stems: string;
}

export interface CatalogTables {
  model: ModelTable;
  model_tag: ModelTagTable;
  model_metric: ModelMetricTable;
  model_score: ModelScoreTable;
  model_use: ModelUseTable;
  facet_count: FacetCountTable;
  model_fts: SearchRow;
  private_model_fts: SearchRow & { account: string };
  version: VersionTable;
  alias: AliasTable;
  alias_change: AliasChangeTable;
  gate: GateTable;
  gate_attempt: GateAttemptTable;
  latency: LatencyTable;
  api_key: ApiKeyTable;
  audit_log: AuditLogTable;
  audit_head: AuditHeadTable;
  registered_operation: RegisteredOperationTable;
  upload: UploadTable;
  deleted_version: DeletedVersionTable;
  erasure: ErasureTable;
  publication: PublicationTable;
  dataset: DatasetTable;
  dataset_piece: DatasetPieceTable;
  dataset_image: DatasetImageTable;
  version_dataset: VersionDatasetTable;
  evaluation: EvaluationTable;
  evaluation_job: EvaluationJobTable;
  evaluation_piece: EvaluationPieceTable;
  evaluation_part: EvaluationPartTable;
  metric: MetricTable;
}
export type CatalogDatabase = Kysely<CatalogTables>;

export interface PredictionTables {
  prediction: PredictionTable;
  idempotency: IdempotencyTable;
  picture: PictureTable;
  answer_label: AnswerLabelTable;
  outcome: OutcomeTable;
  quota_use: QuotaUseTable;
}
export type PredictionDatabase = Kysely<PredictionTables>;

/** The files of a data folder, with the migrations of each. */
export const DATABASE_FILES = {
  catalog: { name: 'catalog.db', migrations: catalogMigrations },
  predictions: { name: 'predictions.db', migrations: predictionMigrations },
} as const;

export interface KeyTables {
  data_key: DataKeyTable;
  master_key: MasterKeyTable;
}
export type KeyDatabase = Kysely<KeyTables>;
/** Without it, nobody can read what is encrypted in the others. */
export const KEYS_FILE = { name: 'keys.db', migrations: keyMigrations };

export interface Databases {
  readonly catalogDb: CatalogDatabase;
  readonly predictionDb: PredictionDatabase;
  readonly keyDb: KeyDatabase;
  /** The same files, for reads by key: they never wait behind lists and searches. */
  readonly catalogByKey: CatalogDatabase;
  readonly predictionsByKey: PredictionDatabase;
  readonly catalogFile: SqliteFile;
  readonly predictionsFile: SqliteFile;
  readonly keysFile: SqliteFile;
  readonly close: () => Promise<void>;
}

/** How long a server waits for another one that is stopping. */
const STOPPING_SERVER_MS = 5_000;

/**
 * Opens the databases of a data folder for this process only, and migrates them to the newest schema.
 *
 * @throws StartupError that says what to do, if another server uses the folder, a file is damaged, or its schema is newer
 *   than this server. In these cases nothing is overwritten.
 */
export async function openDatabases(dataDir: string, waitMs = STOPPING_SERVER_MS): Promise<Databases> {
  await mkdir(dataDir, { recursive: true });
  const lockFile = path.join(dataDir, 'server.lock');
  const lock = await lockStore(lockFile, waitMs).catch((error) => {
    throw error instanceof StartupError ? error : describeOpening(lockFile, error);
  });
  const opened = [lock];
  const close = async () => {
    for (const file of opened.toReversed()) await file.close();
  };
  try {
    const catalogFile = await openFile(dataDir, DATABASE_FILES.catalog);
    opened.push(catalogFile);
    const predictionsFile = await openFile(dataDir, DATABASE_FILES.predictions);
    opened.push(predictionsFile);
    const keysFile = await openFile(dataDir, KEYS_FILE);
    opened.push(keysFile);
    const catalogDb = new Kysely<CatalogTables>({ dialect: new SqliteFileDialect(catalogFile) });
    const predictionDb = new Kysely<PredictionTables>({ dialect: new SqliteFileDialect(predictionsFile) });
    const keyDb = new Kysely<KeyTables>({ dialect: new SqliteFileDialect(keysFile, 'keys') });
    const catalogByKey = new Kysely<CatalogTables>({ dialect: new SqliteFileDialect(catalogFile, 'keys') });
    const predictionsByKey = new Kysely<PredictionTables>({ dialect: new SqliteFileDialect(predictionsFile, 'keys') });
    const dbs = { catalogDb, predictionDb, keyDb, catalogByKey, predictionsByKey };
    return { ...dbs, catalogFile, predictionsFile, keysFile, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * The catalog of a data folder whose server may be running: it is neither locked nor migrated.
 *
 * @throws StartupError if there is none
 */
export async function openCatalogBeside(dataDir: string): Promise<{ db: CatalogDatabase; close: () => Promise<void> }> {
  const file = await SqliteFile.open(existingCatalog(dataDir));
  return { db: new Kysely<CatalogTables>({ dialect: new SqliteFileDialect(file) }), close: () => file.close() };
}

/**
 * The catalog of a data folder, for a command: alone, and migrated, or beside the server that is running, which has migrated it.
 *
 * @throws StartupError as `openDatabases`
 */
export async function openCatalog(dataDir: string): Promise<{ db: CatalogDatabase; close: () => Promise<void> }> {
  try {
    const { catalogByKey: db, close } = await openDatabases(dataDir, 0);
    return { db, close };
  } catch (error) {
    if (!(error instanceof StoreLockedError)) throw error;
  }
  return openCatalogBeside(dataDir);
}

/** The keys of a data folder whose server may be running. @throws StartupError if there are none */
export async function openKeysBeside(dataDir: string): Promise<{ db: KeyDatabase; file: SqliteFile }> {
  const name = path.join(dataDir, KEYS_FILE.name);
  if (!existsSync(name)) throw new StartupError(`there is no ${KEYS_FILE.name} in ${dataDir}: start the server first`);
  const file = await SqliteFile.open(name);
  return { db: new Kysely<KeyTables>({ dialect: new SqliteFileDialect(file, 'keys') }), file };
}

/** @throws StartupError if there is none */
export function existingCatalog(dataDir: string): string {
  const file = path.join(dataDir, DATABASE_FILES.catalog.name);
  if (existsSync(file)) return file;
  throw new StartupError(`there is no catalog in ${dataDir}: set DATA_DIR to the data folder of the server`);
}

async function openFile(
  dataDir: string,
  { name, migrations }: { readonly name: string; readonly migrations: Record<string, Migration> },
): Promise<SqliteFile> {
  const file = path.join(dataDir, name);
  const opened = await SqliteFile.open(file).catch((error) => {
    throw describeOpening(file, error);
  });
  try {
    await migrate(opened, file, migrations);
    return opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function migrate(opened: SqliteFile, file: string, migrations: Record<string, Migration>): Promise<void> {
  // Does not start the threads of readers, which may not be needed for long.
  const db = new Kysely<unknown>({ dialect: new SqliteFileDialect(opened, 'writer') });
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (!error) return;
  const newer = (await migrationsDone(opened)).find((name) => !(name in migrations));
  throw newer ? new NewerSchemaError(file, newer) : describeOpening(file, error);
}

async function migrationsDone(file: SqliteFile): Promise<string[]> {
  const found = await file.read(`select name from ${DEFAULT_MIGRATION_TABLE}`, []).catch(() => null);
  return (found?.rows ?? []).map(({ name }) => String(name));
}

/** What to say, and what to do, if a file cannot be opened. */
export function describeOpening(file: string, error: unknown): Error {
  const cause = error instanceof StorageFullError ? error.cause : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  const isDamaged = cause instanceof SqliteError && cause.is('corrupt', 'notADatabase');
  if (isDamaged) return new DamagedFileError(file, text);
  return new StartupError(
    `${file} could not be opened: ${text}. Check that the disk has room and that the server may write to the folder.`,
  );
}
