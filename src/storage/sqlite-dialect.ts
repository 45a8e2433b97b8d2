/**
 * Kysely on a database file behind threads. A `select` outside a transaction goes to a reader; everything else goes to
 * the writer, one transaction at a time.
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
import { type SqliteFile, StorageLostError } from './sqlite.js';
import type { QueryReply } from './sqlite-thread.js';

class SqliteFileConnection implements DatabaseConnection {
  #turn: { readonly end: () => void; readonly epoch: number } | null = null;

  constructor(readonly file: SqliteFile) {}

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

  /** SQLite may have rolled back by itself, and a new thread never knew of the transaction: both are what is wanted. */
  async rollback(): Promise<void> {
    await this.#write('rollback', []).catch(() => {});
    this.#endTurn();
  }

  /** Ends the turn of a transaction that could not begin or whose end was not reached. */
  async release(): Promise<void> {
    if (this.#turn) await this.rollback();
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Nothing streams from SQLite; read a page instead.');
  }

  #send({ sql, parameters, query }: CompiledQuery): Promise<QueryReply> {
    if (this.#turn) return this.#write(sql, parameters);
    if (query.kind === 'SelectQueryNode') return this.file.read(sql, parameters);
    return this.file.inTurn(() => this.file.write(sql, parameters));
  }

  /** In a new thread, the rest of a transaction would take effect without its beginning. */
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
  constructor(readonly file: SqliteFile) {}

  async init(): Promise<void> {}

  async acquireConnection(): Promise<SqliteFileConnection> {
    return new SqliteFileConnection(this.file);
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

/** Kysely runs SQLite migrations without a transaction unless told that this is possible; then a failed one leaves nothing. */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

export class SqliteFileDialect implements Dialect {
  constructor(readonly file: SqliteFile) {}

  createDriver(): Driver {
    return new SqliteFileDriver(this.file);
  }

  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new TransactionalDdlAdapter();
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db as never);
  }
}
