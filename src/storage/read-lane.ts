/**
 * Reads that share some threads: a bounded queue in which callers take turns, and a time limit for each read.
 *
 * SQLite in Node has no way to interrupt a statement. A read that takes too long is rejected, and its thread is abandoned:
 * it ends at the next call of `interruptible()` or at the end of the statement. A new thread takes its place at once.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { ReadTimeoutError, TooManyReadsError } from '../errors.js';
import { waitAtMost } from '../wait-at-most.js';
import { RoundRobin } from './round-robin.js';
import { CLOSE_GRACE_MS, type SqliteThread, StorageLostError, type Unnumbered } from './sqlite-connection.js';
import type { QueryReply } from './sqlite-thread.js';

/** Of a caller, from when a thread starts on it; a read of 100,000 models takes well below a second. */
const READ_LIMIT_MS = 5_000;
/** Of the server itself, for which nobody waits: on a busy machine, a start can take longer than a request may. */
const OWN_READ_LIMIT_MS = 60_000;
export const MAX_WAITING_READS = 1_000;

/** The caller for whom the running code reads; the server itself if there is none. */
export const readingFor = new AsyncLocalStorage<string>();
const SERVER = 'server';

/** While this many abandoned threads are still running, none is added. */
const MAX_ABANDONED = 2;

interface WaitingRead extends PromiseWithResolvers<QueryReply> {
  readonly request: Unnumbered;
  readonly caller: string;
  /** Whether a thread ended during it: a read is repeated once. */
  isRepeated: boolean;
}

export class ReadLane {
  readonly #open: () => SqliteThread;
  readonly #maxThreads: number;
  readonly #waiting = new RoundRobin<WaitingRead>(MAX_WAITING_READS);
  readonly #threads = new Set<SqliteThread>();
  readonly #idle: SqliteThread[] = [];
  readonly #abandoned = new Set<SqliteThread>();

  /** Threads are opened on first use. */
  constructor(open: () => SqliteThread, maxThreads: number) {
    this.#open = open;
    this.#maxThreads = maxThreads;
  }

  /** @throws TooManyReadsError, ReadTimeoutError, SqliteError */
  async read(request: Unnumbered): Promise<QueryReply> {
    const caller = readingFor.getStore() ?? SERVER;
    const waiting = { request, caller, isRepeated: false, ...Promise.withResolvers<QueryReply>() };
    this.#add(waiting);
    this.#startNext();
    return waiting.promise;
  }

  #add(waiting: WaitingRead): void {
    this.#waiting.add(waiting.caller, waiting)?.reject(new TooManyReadsError(this.#waiting.size));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.close()));
    const ended = Promise.all([...this.#abandoned].map((thread) => thread.abandon()));
    await waitAtMost(CLOSE_GRACE_MS, ended);
  }

  #startNext(): void {
    while (this.#waiting.size > 0) {
      const thread = this.#idle.pop() ?? this.#openThread();
      if (!thread) return;
      void this.#run(thread, this.#waiting.next() as WaitingRead);
    }
  }

  #openThread(): SqliteThread | undefined {
    if (this.#threads.size >= this.#maxThreads || this.#abandoned.size >= MAX_ABANDONED) return undefined;
    const thread = this.#open();
    this.#threads.add(thread);
    return thread;
  }

  async #run(thread: SqliteThread, waiting: WaitingRead): Promise<void> {
    let immediate: NodeJS.Immediate | undefined;
    const limitMs = waiting.caller === SERVER ? OWN_READ_LIMIT_MS : READ_LIMIT_MS;
    // If the event loop was held meanwhile, the reply may be there: it is read before immediates run.
    const timer = setTimeout(() => {
      immediate = setImmediate(() => this.#abandon(thread, waiting, limitMs));
    }, limitMs);
    try {
      waiting.resolve(await thread.send(waiting.request));
    } catch (error) {
      if (this.#threads.has(thread) && error instanceof StorageLostError && !waiting.isRepeated) {
        waiting.isRepeated = true;
        this.#add(waiting);
      } else waiting.reject(error);
    }
    clearTimeout(timer);
    clearImmediate(immediate);
    if (!this.#threads.has(thread)) return;
    this.#idle.push(thread);
    this.#startNext();
  }

  #abandon(thread: SqliteThread, waiting: WaitingRead, limitMs: number): void {
    waiting.reject(new ReadTimeoutError(limitMs));
    this.#threads.delete(thread);
    this.#abandoned.add(thread);
    void thread.abandon().finally(() => {
      this.#abandoned.delete(thread);
      this.#startNext();
    });
    this.#startNext();
  }
}
