/**
 * One state of a database file, for commands: a read-only connection in a read transaction, in this thread. Whoever writes to
 * the file goes on meanwhile, but its write-ahead log grows until the transaction ends.
 */
import path from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { Kysely, SqliteDialect } from 'kysely';
import { DEFAULT_MIGRATION_TABLE } from 'kysely/migration';
import { NewerSchemaError, StartupError } from '../errors.js';
import {
  type CatalogTables,
  DATABASE_FILES,
  describeOpening,
  existingCatalog,
  type PredictionTables,
} from './database.js';
import { SqliteError } from './sqlite-error.js';

const BUSY_MS = 5_000;

export class Snapshot<Tables> {
  /** For queries that the server has too. */
  readonly db: Kysely<Tables>;
  readonly #connection: DatabaseSync;

  /** @throws Error of `node:sqlite` if the file is not a database */
  constructor(readonly file: string) {
    this.#connection = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS });
    this.db = new Kysely({ dialect: dialectOf(this.#connection) });
    try {
      this.#begin();
    } catch (error) {
      this.#connection.close();
      throw error;
    }
  }

  /** The rows of a statement, one at a time. */
  rows<Row extends object>(sql: string, ...parameters: SQLInputValue[]): IterableIterator<Row> {
    return this.#connection.prepare(sql).iterate(...parameters) as IterableIterator<Row>;
  }

  /** As `rows`, with the values of each row as a list. */
  lists<Values extends unknown[]>(sql: string): IterableIterator<Values> {
    const statement = this.#connection.prepare(sql);
    statement.setReturnArrays(true);
    return statement.iterate() as unknown as IterableIterator<Values>;
  }

  /** For temporary tables. */
  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  /** Ends the transaction, so that the write-ahead log does not grow. Reads then see what the file has at that moment. */
  end(): void {
    if (this.#connection.isTransaction) this.#connection.exec('rollback');
  }

  /** Goes on to the state that the file has now. */
  renew(): void {
    this.end();
    this.#begin();
  }

  close(): void {
    this.#connection.close();
  }

  /** A transaction begins with its first read. */
  #begin(): void {
    this.#connection.exec('begin');
    this.#connection.prepare('select count(*) from sqlite_schema').get();
  }
}

/** A snapshot of whatever tables. */
export type AnySnapshot = Pick<Snapshot<unknown>, 'file' | 'rows'>;

/** One state of both databases of a data folder. */
export interface Snapshots {
  readonly catalog: Snapshot<CatalogTables>;
  readonly predictions: Snapshot<PredictionTables>;
  readonly close: () => void;
}

/**
 * Opens the predictions first, so that the versions that they refer to are in the catalog.
 *
 * @throws StartupError if there is no catalog, or a file is damaged or has another schema than this release
 */
export function openSnapshots(dataDir: string): Snapshots {
  existingCatalog(dataDir);
  const predictions = openSnapshot<PredictionTables>(dataDir, DATABASE_FILES.predictions);
  try {
    const catalog = openSnapshot<CatalogTables>(dataDir, DATABASE_FILES.catalog);
    const close = () => {
      catalog.close();
      predictions.close();
    };
    return { catalog, predictions, close };
  } catch (error) {
    predictions.close();
    throw error;
  }
}

/** Copies one state of a database, without what was deleted, to a new file that is not synced. Others may write meanwhile. */
export function vacuumInto(file: string, target: string): void {
  const connection = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS });
  try {
    connection.prepare('vacuum into ?').run(target);
  } finally {
    connection.close();
  }
}

/** For a connection in this thread. */
export function dialectOf(connection: DatabaseSync): SqliteDialect {
  const prepare = (sql: string) => {
    const statement = connection.prepare(sql);
    const bound = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
    return {
      reader: statement.columns().length > 0,
      all: (parameters: readonly unknown[]) => statement.all(...bound(parameters)),
      run: (parameters: readonly unknown[]) => statement.run(...bound(parameters)),
      iterate: (parameters: readonly unknown[]) => statement.iterate(...bound(parameters)),
    };
  };
  return new SqliteDialect({ database: { prepare, close: () => connection.close() } });
}

/** @throws StartupError as `openSnapshots` */
export function openSnapshot<Tables>(
  dataDir: string,
  { name, migrations }: { readonly name: string; readonly migrations: object },
): Snapshot<Tables> {
  const file = path.join(dataDir, name);
  let snapshot: Snapshot<Tables> | null = null;
  try {
    snapshot = new Snapshot<Tables>(file);
    checkSchema(snapshot, Object.keys(migrations));
    return snapshot;
  } catch (error) {
    snapshot?.close();
    if (error instanceof StartupError) throw error;
    const { message, code, errcode } = error as Partial<SqliteError>;
    throw describeOpening(file, new SqliteError(message ?? '', code ?? 'UNKNOWN', errcode ?? 0));
  }
}

/** @throws StartupError */
function checkSchema(snapshot: AnySnapshot, migrations: readonly string[]): void {
  const done = Array.from(
    snapshot.rows<{ name: string }>(`select name from ${DEFAULT_MIGRATION_TABLE}`),
    ({ name }) => name,
  );
  const newer = done.find((name) => !migrations.includes(name));
  if (newer) throw new NewerSchemaError(snapshot.file, newer);
  const missing = migrations.find((name) => !done.includes(name));
  if (missing)
    throw new StartupError(
      `${snapshot.file} was written by an older version of Modelgraph (it lacks the migration "${missing}"). Start the server once to migrate it.`,
    );
}
