/** One SQLite connection in a thread of its own, as the event loop sees it. The body is in `sqlite-thread.ts`. */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { LinkedList } from '../linked-list.js';
import { waitAtMost } from '../wait-at-most.js';
import { RESULT_CODE, SqliteError } from './sqlite-error.js';
import type { EncodedReply, QueryReply, StorageReply, StorageRequest } from './sqlite-thread.js';

export type Unnumbered = StorageRequest extends infer R ? (R extends StorageRequest ? Omit<R, 'id'> : never) : never;

/** The thread ended before it replied, so it is unknown whether the request was performed. */
export class StorageLostError extends SqliteError {
  constructor(file: string, why: string) {
    super(`the storage thread of ${path.basename(file)} ended: ${why}`, 'STORAGE_LOST', RESULT_CODE.ioError);
  }
}

interface Pending {
  readonly id: number;
  readonly waiting: PromiseWithResolvers<QueryReply>;
}

export const CLOSE_GRACE_MS = 2_000;
const FIRST_RESTART_MS = 20;
const LONGEST_RESTART_MS = 5_000;

/**
 * One connection in a thread of its own. A thread that ends is replaced, with a growing delay while starts fail. Its
 * pending requests are rejected, because it is unknown whether they were performed.
 */
export class SqliteThread {
  readonly #file: string;
  readonly #readOnly: boolean;
  /** The thread replies in the order in which it was asked. */
  readonly #pending = new LinkedList<Pending>();
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
    this.#pending.push({ id, waiting });
    if (this.#worker) this.#post(this.#worker, { id, ...request } as StorageRequest);
    else this.#unsent.push({ id, ...request } as StorageRequest);
    return waiting.promise;
  }

  /** A request that cannot be cloned is rejected alone. */
  #post(worker: Worker, request: StorageRequest): void {
    try {
      worker.postMessage(request);
    } catch (error) {
      this.#taken(request.id)?.reject(error);
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

  /** Gives up on a request that runs too long. Resolves when the thread has ended: SQLite cannot be interrupted. */
  async abandon(): Promise<void> {
    this.#isClosed = true;
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
    const waiting = this.#taken(reply.id);
    if ('ok' in reply) waiting?.resolve(decoded(reply.ok));
    else waiting?.reject(new SqliteError(reply.error.message, reply.error.code, reply.error.errcode));
  }

  #taken(id: number): Pending['waiting'] | undefined {
    const link = this.#pending.find((pending) => pending.id === id);
    if (link) this.#pending.remove(link);
    return link?.value.waiting;
  }

  #replace(cause: Error): void {
    this.epoch++;
    const { errcode } = cause as Partial<SqliteError>;
    const error = errcode
      ? new SqliteError(cause.message, 'ERR_SQLITE_ERROR', errcode)
      : new StorageLostError(this.#file, cause.message);
    for (const { id } of this.#pending) this.#taken(id)?.reject(error);
    this.#worker = null;
    if (this.#isClosed) return;
    const ms = Math.min(FIRST_RESTART_MS * 2 ** this.#failedStarts++, LONGEST_RESTART_MS);
    setTimeout(() => {
      if (!this.#isClosed) this.#worker = this.#start();
    }, ms).unref();
  }
}

function decoded({ columns, rows, changes }: EncodedReply): QueryReply {
  const listed: readonly (readonly unknown[])[] = typeof rows === 'string' ? JSON.parse(rows) : rows;
  return { rows: listed.map((values) => rowOf(columns, values)), changes };
}

/** Faster than `Object.fromEntries`, and all rows of a statement share one hidden class. */
function rowOf(columns: readonly string[], values: readonly unknown[]): Record<string, unknown> {
  const row: Record<string, unknown> = {};
  for (let i = 0; i < columns.length; i++) row[columns[i] as string] = values[i];
  return row;
}
