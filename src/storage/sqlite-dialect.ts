/**
 * Kysely's dialect for a `SqliteFile`. A `select` outside a transaction goes to a reader, unless the writer is to read too; all
 * other statements go to the writer, one transaction at a time.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { Lane, SqliteFile } from './sqlite.js';
import { StorageLostError } from './sqlite-connection.js';
import type { QueryReply } from './sqlite-thread.js';

class SqliteFileConnection implements DatabaseConnection {
  #turn: { readonly end: () => void; readonly epoch: number } | null = null;

  constructor(
    readonly file: SqliteFile,
    readonly reader: Lane | 'writer',
  ) {}

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, changes } = await this.#send(query);
    return { rows: rows as R[], numAffectedRows: BigInt(changes) };
  }

  async begin(): Promise<void> {
    const end = await this.file.takeTurn();
    this.#turn = { end, epoch: this.file.epoch };
    // A deferred `begin` would fail with SQLITE_BUSY_SNAPSHOT when a read is followed by a write.
    await this.#write('begin immediate', []);
  }

  async commit(): Promise<void> {
    await this.#write('commit', []);
    this.#endTurn();
  }

  /** Errors are ignored: SQLite may have rolled back by itself, and a new thread has no transaction. */
  async rollback(): Promise<void> {
    await this.#write('rollback', []).catch(() => {});
    this.#endTurn();
  }

  /** Ends the turn of a transaction that failed to begin or was not finished. */
  async release(): Promise<void> {
    if (this.#turn) await this.rollback();
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Streaming is not supported with SQLite. Read one page at a time instead.');
  }

  #send({ sql, parameters, query }: CompiledQuery): Promise<QueryReply> {
    if (this.#turn) return this.#write(sql, parameters);
    if (query.kind === 'SelectQueryNode' && this.reader !== 'writer')
      return this.file.read(sql, parameters, this.reader);
    return this.file.inTurn(() => this.file.write(sql, parameters));
  }

  /** Refuses to continue a transaction in a new thread, where its first statements are missing. */
  async #write(sql: string, parameters: readonly unknown[]): Promise<QueryReply> {
    if (this.#turn?.epoch !== this.file.epoch) throw new StorageLostError('transaction', 'its thread was replaced');
    return this.file.write(sql, parameters);
  }

  #endTurn(): void {
    this.#turn?.end();
    this.#turn = null;
  }
}

class SqliteFileDriver implements Driver {
  constructor(
    readonly file: SqliteFile,
    readonly reader: Lane | 'writer',
  ) {}

  async init(): Promise<void> {}

  async acquireConnection(): Promise<SqliteFileConnection> {
    return new SqliteFileConnection(this.file, this.reader);
  }

  beginTransaction(connection: SqliteFileConnection): Promise<void> {
    return connection.begin();
  }

  commitTransaction(connection: SqliteFileConnection): Promise<void> {
    return connection.commit();
  }

  rollbackTransaction(connection: SqliteFileConnection): Promise<void> {
    return connection.rollback();
  }

  releaseConnection(connection: SqliteFileConnection): Promise<void> {
    return connection.release();
  }

  async destroy(): Promise<void> {
    await this.file.close();
  }
}

class SqliteFileAdapter extends SqliteAdapter {
  /** Otherwise Kysely itself sends one statement at a time, and all readers but one are idle. */
  override get supportsMultipleConnections(): boolean {
    return true;
  }

  /** Makes Kysely run migrations in a transaction, so that a failed migration changes nothing. */
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

export class SqliteFileDialect implements Dialect {
  constructor(
    readonly file: SqliteFile,
    readonly reader: Lane | 'writer' = 'lists',
  ) {}

  createDriver(): Driver {
    return new SqliteFileDriver(this.file, this.reader);
  }

  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new SqliteFileAdapter();
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db as never);
  }
}
