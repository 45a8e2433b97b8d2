/**
 * SQLite behind threads: SQL never runs on the event loop.
 *
 * One writer and some readers for each file. A `select` outside a transaction goes to a reader; everything else goes
 * to the writer, one transaction at a time. `commit` is the way of group commits: many rows, one fsync.
 */
import { Worker } from 'node:worker_threads';
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
import type { QueryReply, Statement, StorageReply, StorageRequest } from './sqlite-thread.js';

type Unnumbered = StorageRequest extends infer R ? (R extends StorageRequest ? Omit<R, 'id'> : never) : never;

/** What SQLite said, with its extended result code in `errcode` (1555 = primary key taken, 13 = disk full). */
export class SqliteError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly errcode: number,
  ) {
    super(message);
  }
}

class SqliteThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PromiseWithResolvers<QueryReply>>();
  #lastId = 0;
  #exited: Error | null = null;

  constructor(file: string, options: { readOnly: boolean }) {
    this.#worker = new Worker(new URL('./sqlite-thread.js', import.meta.url), { workerData: { file, ...options } });
    this.#worker.on('message', (reply: StorageReply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error(`the storage thread of ${file} has ended`)));
  }

  send(request: Unnumbered): Promise<QueryReply> {
    if (this.#exited) return Promise.reject(this.#exited);
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<QueryReply>();
    this.#pending.set(id, waiting);
    this.#worker.postMessage({ id, ...request });
    return waiting.promise;
  }

  async close(): Promise<void> {
    if (this.#exited) return;
    await this.send({ kind: 'close' });
    await this.#worker.terminate();
  }

  #settle(reply: StorageReply): void {
    const waiting = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ('ok' in reply) waiting?.resolve(reply.ok);
    else waiting?.reject(new SqliteError(reply.error.message, reply.error.code, reply.error.errcode));
  }

  #fail(error: Error): void {
    this.#exited ??= error;
    for (const waiting of this.#pending.values()) waiting.reject(this.#exited);
    this.#pending.clear();
  }
}

/** The threads of one database file, and the turn-taking of its writer. */
export class SqliteFile {
  readonly #writer: SqliteThread;
  readonly #readers: readonly SqliteThread[];
  #nextReader = 0;
  #writerTurn: Promise<unknown> = Promise.resolve();
  /** Statements executed so far, for tests that count them. */
  statementCount = 0;

  private constructor(writer: SqliteThread, readers: readonly SqliteThread[]) {
    this.#writer = writer;
    this.#readers = readers;
  }

  static async open(file: string, readers: number): Promise<SqliteFile> {
    const writer = new SqliteThread(file, { readOnly: false });
    await writer.send({ kind: 'query', sql: 'select 1', parameters: [] });
    return new SqliteFile(
      writer,
      Array.from({ length: readers }, () => new SqliteThread(file, { readOnly: true })),
    );
  }

  read(sql: string, parameters: readonly unknown[]): Promise<QueryReply> {
    this.statementCount++;
    this.#nextReader = (this.#nextReader + 1) % this.#readers.length;
    return (this.#readers[this.#nextReader] as SqliteThread).send({ kind: 'query', sql, parameters });
  }

  /** Only for the holder of the writer's turn. */
  write(sql: string, parameters: readonly unknown[]): Promise<QueryReply> {
    this.statementCount++;
    return this.#writer.send({ kind: 'query', sql, parameters });
  }

  /** Executes all rows of all statements in one transaction; resolves when they are on the disk. */
  commit(statements: readonly Statement[]): Promise<QueryReply> {
    this.statementCount += statements.length;
    return this.inTurn(() => this.#writer.send({ kind: 'commit', statements }));
  }

  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const release = await this.takeTurn();
    try {
      return await work();
    } finally {
      release();
    }
  }

  async takeTurn(): Promise<() => void> {
    const before = this.#writerTurn;
    const mine = Promise.withResolvers<void>();
    this.#writerTurn = mine.promise;
    await before;
    return mine.resolve;
  }

  async close(): Promise<void> {
    await this.#writerTurn;
    await Promise.all([this.#writer, ...this.#readers].map((thread) => thread.close()));
  }
}

class SqliteFileConnection implements DatabaseConnection {
  endTurn: (() => void) | null = null;

  constructor(readonly file: SqliteFile) {}

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, changes } = await this.#send(query);
    return { rows: rows as R[], numAffectedRows: BigInt(changes) };
  }

  #send({ sql, parameters, query }: CompiledQuery): Promise<QueryReply> {
    if (this.endTurn) return this.file.write(sql, parameters);
    if (query.kind === 'SelectQueryNode') return this.file.read(sql, parameters);
    return this.file.inTurn(() => this.file.write(sql, parameters));
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Nothing streams from SQLite; read a page instead.');
  }
}

class SqliteFileDriver implements Driver {
  constructor(readonly file: SqliteFile) {}

  async init(): Promise<void> {}

  async acquireConnection(): Promise<SqliteFileConnection> {
    return new SqliteFileConnection(this.file);
  }

  async beginTransaction(connection: SqliteFileConnection): Promise<void> {
    connection.endTurn = await this.file.takeTurn();
    // A deferred `begin` would fail with SQLITE_BUSY_SNAPSHOT when a read is followed by a write.
    await this.file.write('begin immediate', []);
  }

  async commitTransaction(connection: SqliteFileConnection): Promise<void> {
    await this.file.write('commit', []).finally(() => connection.endTurn?.());
    connection.endTurn = null;
  }

  async rollbackTransaction(connection: SqliteFileConnection): Promise<void> {
    await this.file.write('rollback', []).finally(() => connection.endTurn?.());
    connection.endTurn = null;
  }

  async releaseConnection(): Promise<void> {}

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
