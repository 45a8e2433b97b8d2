/**
 * SQLite in threads: SQL never runs on the event loop.
 *
 * Each file has one writer and several readers, each in a thread. `commit` serves group commits (many rows, one fsync);
 * `sqlite-dialect.ts` connects Kysely.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { waitAtMost } from '../wait-at-most.js';
import { throwDiskFailureAsStorageFull } from './disk-failure.js';
import { RESULT_CODE, SqliteError } from './sqlite-error.js';
import type { QueryReply, Statement, StorageReply, StorageRequest } from './sqlite-thread.js';

type Unnumbered = StorageRequest extends infer R ? (R extends StorageRequest ? Omit<R, 'id'> : never) : never;

/** The thread ended before it replied, so it is unknown whether the request was performed. */
export class StorageLostError extends SqliteError {
  constructor(file: string, why: string) {
    super(`the storage thread of ${path.basename(file)} ended: ${why}`, 'STORAGE_LOST', RESULT_CODE.ioError);
  }
}

const CLOSE_GRACE_MS = 2_000;
const FIRST_RESTART_MS = 20;
const LONGEST_RESTART_MS = 5_000;

/**
 * One connection in a thread of its own. A thread that ends is replaced, with a growing delay while starts fail. Its
 * pending requests are rejected, because it is unknown whether they were performed.
 */
class SqliteThread {
  readonly #file: string;
  readonly #readOnly: boolean;
  readonly #pending = new Map<number, PromiseWithResolvers<QueryReply>>();
  /** Null between the end of a thread and the start of the next one. Requests wait meanwhile. */
  #worker: Worker | null;
  readonly #unsent: StorageRequest[] = [];
  #lastId = 0;
  #failedStarts = 0;
  #isClosed = false;
  /** Incremented with each replacement. A transaction that began in an earlier epoch is lost. */
  epoch = 0;

  constructor(file: string, options: { readOnly: boolean }) {
    this.#file = file;
    this.#readOnly = options.readOnly;
    this.#worker = this.#start();
  }

  send(request: Unnumbered): Promise<QueryReply> {
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<QueryReply>();
    this.#pending.set(id, waiting);
    if (this.#worker) this.#post(this.#worker, { id, ...request } as StorageRequest);
    else this.#unsent.push({ id, ...request } as StorageRequest);
    return waiting.promise;
  }

  /** A request that cannot be cloned is rejected alone. */
  #post(worker: Worker, request: StorageRequest): void {
    try {
      worker.postMessage(request);
    } catch (error) {
      this.#pending.get(request.id)?.reject(error);
      this.#pending.delete(request.id);
    }
  }

  /** A thread that does not close in time is terminated. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#worker)
      await waitAtMost(
        CLOSE_GRACE_MS,
        this.send({ kind: 'close' }).catch(() => {}),
      );
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const options = { workerData: { file: this.#file, readOnly: this.#readOnly } };
    Object.assign(options, { env: process.env }); // @fault
    const worker = new Worker(new URL('./sqlite-thread.js', import.meta.url), options);
    let cause: Error | null = null;
    worker.on('message', (reply: StorageReply) => this.#settle(reply));
    worker.on('error', (error) => (cause = error));
    worker.on('exit', (code) => this.#replace(cause ?? new Error(`exit code ${code}`)));
    for (const request of this.#unsent.splice(0)) this.#post(worker, request);
    return worker;
  }

  #settle(reply: StorageReply): void {
    this.#failedStarts = 0;
    const waiting = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ('ok' in reply) waiting?.resolve(reply.ok);
    else waiting?.reject(new SqliteError(reply.error.message, reply.error.code, reply.error.errcode));
  }

  #replace(cause: Error): void {
    this.epoch++;
    const { errcode } = cause as Partial<SqliteError>;
    const error = errcode
      ? new SqliteError(cause.message, 'ERR_SQLITE_ERROR', errcode)
      : new StorageLostError(this.#file, cause.message);
    for (const waiting of this.#pending.values()) waiting.reject(error);
    this.#pending.clear();
    this.#worker = null;
    if (this.#isClosed) return;
    const ms = Math.min(FIRST_RESTART_MS * 2 ** this.#failedStarts++, LONGEST_RESTART_MS);
    setTimeout(() => {
      if (!this.#isClosed) this.#worker = this.#start();
    }, ms).unref();
  }
}

/** The threads of one database file. Users of the writer take turns. */
export class SqliteFile {
  readonly #file: string;
  readonly #writer: SqliteThread;
  readonly #maxReaders: number;
  /** Started on first use. */
  readonly #readers: SqliteThread[] = [];
  #lastRead = 0;
  #writerTurn: Promise<unknown> = Promise.resolve();
  /** Increases when a statement that may change the file has ended. */
  changeCount = 0;
  /** Statements executed so far, for tests that count them. */
  statementCount = 0;

  private constructor(file: string, writer: SqliteThread, maxReaders: number) {
    this.#file = file;
    this.#writer = writer;
    this.#maxReaders = maxReaders;
  }

  /** @throws SqliteError if the file is not a database or cannot be opened */
  static async open(file: string, maxReaders: number): Promise<SqliteFile> {
    const writer = new SqliteThread(file, { readOnly: false });
    try {
      await writer.send({ kind: 'query', sql: 'select count(*) from sqlite_schema', parameters: [] });
    } catch (error) {
      await writer.close();
      throw error;
    }
    return new SqliteFile(file, writer, maxReaders);
  }

  /** Repeats the query once if the reader ends before it replies. */
  async read(sql: string, parameters: readonly unknown[]): Promise<QueryReply> {
    this.statementCount++;
    const ask = () => this.#reader().send({ kind: 'query', sql, parameters });
    return ask().catch((error) => {
      if (!(error instanceof StorageLostError)) throw error;
      return ask();
    });
  }

  #reader(): SqliteThread {
    const i = this.#lastRead++ % this.#maxReaders;
    this.#readers[i] ??= new SqliteThread(this.#file, { readOnly: true });
    return this.#readers[i];
  }

  /** Only for the holder of the writer's turn. @throws StorageFullError, SqliteError */
  write(sql: string, parameters: readonly unknown[]): Promise<QueryReply> {
    this.statementCount++;
    return this.#change({ kind: 'query', sql, parameters });
  }

  /** The epoch of the writer's thread. */
  get epoch(): number {
    return this.#writer.epoch;
  }

  /** Runs all rows of all statements in one transaction. Resolves when they are on the disk. @throws as `write` */
  commit(statements: readonly Statement[]): Promise<QueryReply> {
    this.statementCount += statements.length;
    return this.inTurn(() => this.#change({ kind: 'commit', statements }));
  }

  #change(request: Unnumbered): Promise<QueryReply> {
    return this.#writer
      .send(request)
      .finally(() => this.changeCount++)
      .catch(throwDiskFailureAsStorageFull);
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

  /** Closes the writer last, because only it can move the write-ahead log into the file. */
  async close(): Promise<void> {
    await waitAtMost(CLOSE_GRACE_MS, this.#writerTurn);
    await Promise.all(this.#readers.map((thread) => thread.close()));
    await this.#writer.close();
  }
}
