/** Statements of one connection, prepared once and kept. A statement keeps the values that were bound to it last. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

const MAX_STATEMENTS = 500;
/** Of the text and the bound values of one statement, and of all together. */
const MAX_STATEMENT_BYTES = 64 * 1024;
const MAX_BYTES = 8 * 1024 * 1024;

interface Kept {
  readonly statement: StatementSync;
  bytes: number;
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
  prepare(sql: string, values: readonly SQLInputValue[]): StatementSync {
    const known = this.#kept.get(sql);
    const statement = known?.statement ?? this.#database.prepare(sql);
    if (known) this.#forget(sql, known);
    const bytes = 2 * sql.length + values.reduce<number>((sum, value) => sum + bytesOf(value), 0);
    // Statements that change the schema or control transactions run once, and would hold locks if they were kept.
    if (bytes > MAX_STATEMENT_BYTES || !/^\s*(select|insert|update|delete|with)/i.test(sql)) return statement;
    if (this.#kept.size >= MAX_STATEMENTS || this.#bytes + bytes > MAX_BYTES) this.#clear();
    this.#kept.set(sql, { statement, bytes });
    this.#bytes += bytes;
    return statement;
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
