/** Statements of one connection, prepared once and kept. A statement keeps the values that were bound to it last. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

const MAX_STATEMENTS = 500;
/** Of the text and the bound values of one statement, and of all together. */
const MAX_STATEMENT_BYTES = 64 * 1024;
const MAX_BYTES = 8 * 1024 * 1024;

export interface PreparedStatement {
  /** Returns rows as arrays. */
  readonly statement: StatementSync;
  /** The names of the columns of its rows; empty for a statement that returns none. */
  readonly columns: readonly string[];
}

interface Kept {
  readonly prepared: PreparedStatement;
  readonly bytes: number;
}

export class PreparedStatements {
  readonly #database: DatabaseSync;
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Of the statements that are kept, with their text and bound values. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The statement to be run with these values. Kept unless it would hold too much. */
  prepare(sql: string, values: readonly SQLInputValue[]): PreparedStatement {
    const known = this.#kept.get(sql);
    const prepared = known?.prepared ?? this.#prepare(sql);
    if (known) this.#forget(sql, known);
    const bytes = 2 * sql.length + values.reduce<number>((sum, value) => sum + bytesOf(value), 0);
    // Statements that change the schema or control transactions run once, and would hold locks if they were kept.
    if (bytes > MAX_STATEMENT_BYTES || !/^\s*(select|insert|update|delete|with)/i.test(sql)) return prepared;
    if (this.#kept.size >= MAX_STATEMENTS || this.#bytes + bytes > MAX_BYTES) this.#clear();
    this.#kept.set(sql, { prepared, bytes });
    this.#bytes += bytes;
    return prepared;
  }

  #prepare(sql: string): PreparedStatement {
    // `select *` may have other columns afterwards.
    if (/^\s*(create|alter|drop)/i.test(sql)) this.#clear();
    const statement = this.#database.prepare(sql);
    statement.setReturnArrays(true);
    return { statement, columns: statement.columns().map(({ name }) => name) };
  }

  #forget(sql: string, { bytes }: Kept): void {
    this.#kept.delete(sql);
    this.#bytes -= bytes;
  }

  #clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }
}

function bytesOf(value: SQLInputValue): number {
  if (typeof value === 'string') return 2 * value.length;
  return ArrayBuffer.isView(value) ? value.byteLength : 8;
}
