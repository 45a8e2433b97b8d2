/**
 * SQLite in threads: SQL never runs on the event loop.
 *
 * Each file has one writer and several readers, each in a thread. Reads by key never wait behind lists and searches.
 * `commit` serves group commits (many rows, one fsync); `sqlite-dialect.ts` connects Kysely.
 */
import { waitAtMost } from '../wait-at-most.js';
import { throwDiskFailureAsStorageFull } from './disk-failure.js';
import { ReadLane } from './read-lane.js';
import { CLOSE_GRACE_MS, SqliteThread, type Unnumbered } from './sqlite-connection.js';
import type { QueryReply, Statement } from './sqlite-thread.js';

/** How many reads run at once, for pages and searches. */
const LIST_READERS = 2;
/** For reads by key, which take less than a millisecond each. */
const KEY_READERS = 1;

/** How long the log is tried to be emptied, how long each try may keep others from writing, and the time between tries. */
const TRUNCATE_MS = 2_000;
const TRUNCATE_BUSY_MS = 50;
const TRUNCATE_PAUSE_MS = 200;

/** `keys` is for reads of rows by their keys, which predictions need; `lists` for everything else. */
export type Lane = 'lists' | 'keys';

/** The threads of one database file. Users of the writer take turns. */
export class SqliteFile {
  readonly #writer: SqliteThread;
  readonly #lanes: Readonly<Record<Lane, ReadLane>>;
  #writerTurn: Promise<unknown> = Promise.resolve();
  /** Increases when a statement that may change the file has ended. */
  changeCount = 0;
  /** Statements executed so far: only in the builds that tests run. */ // @fault
  statementCount = 0; // @fault

  private constructor(file: string, writer: SqliteThread) {
    const open = () => new SqliteThread(file, { readOnly: true });
    this.#writer = writer;
    this.#lanes = { lists: new ReadLane(open, LIST_READERS), keys: new ReadLane(open, KEY_READERS) };
  }

  /** @throws SqliteError if the file is not a database or cannot be opened */
  static async open(file: string): Promise<SqliteFile> {
    const writer = new SqliteThread(file, { readOnly: false });
    try {
      await writer.send({ kind: 'query', sql: 'select count(*) from sqlite_schema', parameters: [] });
    } catch (error) {
      await writer.close();
      throw error;
    }
    return new SqliteFile(file, writer);
  }

  /** @throws TooManyReadsError, ReadTimeoutError, SqliteError */
  async read(sql: string, parameters: readonly unknown[], lane: Lane = 'lists'): Promise<QueryReply> {
    // API keys and operations are read again in the background, at any time after a change. // @fault
    if (!/"(api_key|registered_operation)"/.test(sql)) this.statementCount++; // @fault
    return this.#lanes[lane].read({ kind: 'query', sql, parameters });
  }

  /** Changes when another connection, of this process or of another one, has changed the file. @throws as `read` */
  async dataVersion(): Promise<number> {
    const { rows } = await this.#lanes.keys.read({ kind: 'query', sql: 'pragma data_version', parameters: [] });
    return Number(rows[0]?.['data_version']);
  }

  /** Only for the holder of the writer's turn. @throws StorageFullError, SqliteError */
  write(sql: string, parameters: readonly unknown[]): Promise<QueryReply> {
    this.statementCount++; // @fault
    return this.#change({ kind: 'query', sql, parameters });
  }

  /** The epoch of the writer's thread. */
  get epoch(): number {
    return this.#writer.epoch;
  }

  /** Runs all rows of all statements in one transaction. Resolves when they are on the disk. @throws as `write` */
  commit(statements: readonly Statement[]): Promise<QueryReply> {
    this.statementCount += statements.length; // @fault
    return this.inTurn(() => this.#change({ kind: 'commit', statements }));
  }

  /**
   * Moves the write-ahead log into the file and empties it, so that it has nothing that was overwritten since. Waits for
   * readers, those of commands included, but lets others write meanwhile. Returns false if some are in its way for long.
   */
  async truncateLog(): Promise<boolean> {
    const until = performance.now() + TRUNCATE_MS;
    for (;;) {
      const { rows } = await this.inTurn(() => this.#change({ kind: 'truncate', busyMs: TRUNCATE_BUSY_MS }));
      if (rows[0]?.['busy'] === 0) return true;
      if (performance.now() >= until) return false;
      await new Promise((resolve) => setTimeout(resolve, TRUNCATE_PAUSE_MS));
    }
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
    await Promise.all(Object.values(this.#lanes).map((lane) => lane.close()));
    await this.#writer.close();
  }
}
