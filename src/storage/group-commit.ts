/**
 * Group commit: many callers, one transaction, one fsync.
 *
 * One batch is written at a time; inserts that arrive meanwhile form the next batch. `append` resolves when the caller's
 * rows are durable, and rejects if they could not be written. Either all rows of a caller are written or none; only after
 * a `StorageLostError` is it unknown which. If rows violate a constraint, only their own `append` fails.
 */
import type { Compilable } from 'kysely';
import { Buckets, DURATION_BOUNDS_MS } from '../counting/buckets.js';
import type { SqliteFile } from './sqlite.js';
import { SqliteError } from './sqlite-error.js';

export interface Insert {
  readonly sql: string;
  readonly row: readonly unknown[];
}

/** An insert of one row, compiled once. Later rows only supply their values. */
export function compiledInsert<Row extends object>(build: (row: Row) => Compilable): (row: Row) => Insert {
  let compiled: { readonly sql: string; readonly columns: readonly (keyof Row)[] } | null = null;
  return (row) => {
    compiled ??= compileInsert(build, row);
    return { sql: compiled.sql, row: compiled.columns.map((column) => row[column]) };
  };
}

function compileInsert<Row extends object>(build: (row: Row) => Compilable, row: Row) {
  // Each value is the name of its column, so the parameters give the order of the columns.
  const names = Object.fromEntries(Object.keys(row).map((column) => [column, column])) as Row;
  const { sql, parameters } = build(names).compile();
  return { sql, columns: parameters as (keyof Row)[] };
}

interface Append extends PromiseWithResolvers<void> {
  readonly inserts: readonly Insert[];
}

/** A commit has more only if one call of `append` has. */
const MAX_ROWS_PER_COMMIT = 512;

export class GroupCommit {
  /** How long commits took, in the queue of the writer and on disk, failed ones included. */
  readonly commitMs = new Buckets(DURATION_BOUNDS_MS);
  failedCommits = 0;
  /** Rows that are durable, of all tables. */
  rows = 0;
  readonly #file: SqliteFile;
  #waiting: Append[] = [];
  #writing: Promise<void> | null = null;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  append(inserts: readonly Insert[]): Promise<void> {
    const waiting = { inserts, ...Promise.withResolvers<void>() };
    this.#waiting.push(waiting);
    this.#writing ??= this.#writeAll();
    return waiting.promise;
  }

  /** Calls of `append` that wait for the commit that is being written. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves when no insert is waiting. */
  async drain(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #writeAll(): Promise<void> {
    // Inserts that arrive in this turn of the event loop share the first commit.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) await this.#write(this.#nextBatch());
    this.#writing = null;
  }

  #nextBatch(): Append[] {
    let [appends, rows] = [0, 0];
    while (appends < this.#waiting.length) {
      rows += (this.#waiting[appends] as Append).inserts.length;
      if (appends > 0 && rows > MAX_ROWS_PER_COMMIT) break;
      appends++;
    }
    return this.#waiting.splice(0, appends);
  }

  async #write(batch: readonly Append[]): Promise<void> {
    const rowsBySql = new Map<string, (readonly unknown[])[]>();
    for (const { inserts } of batch)
      for (const { sql, row } of inserts) {
        const rows = rowsBySql.get(sql);
        if (rows) rows.push(row);
        else rowsBySql.set(sql, [row]);
      }
    try {
      await this.#commit(Array.from(rowsBySql, ([sql, rows]) => ({ sql, rows })));
      for (const rows of rowsBySql.values()) this.rows += rows.length;
      for (const { resolve } of batch) resolve();
    } catch (error) {
      this.failedCommits++;
      if (batch.length > 1 && error instanceof SqliteError && error.is('constraint'))
        for (const one of batch) await this.#write([one]);
      else for (const { reject } of batch) reject(error);
    }
  }

  async #commit(statements: Parameters<SqliteFile['commit']>[0]): Promise<void> {
    const begun = performance.now();
    try {
      await this.#file.commit(statements);
    } finally {
      this.commitMs.add(performance.now() - begun);
    }
  }
}
