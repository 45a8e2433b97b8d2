/**
 * Body of a storage thread: one SQLite connection that handles one message at a time.
 */
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { faultPoint } from '../fault-points.js'; // @fault
import { PreparedStatements } from './prepared-statements.js';
import { isToSeal, seal } from './sealing.js';

export interface Statement {
  readonly sql: string;
  /** The statement runs once for each row of parameters. */
  readonly rows: readonly (readonly unknown[])[];
}

export type StorageRequest =
  | { readonly id: number; readonly kind: 'query'; readonly sql: string; readonly parameters: readonly unknown[] }
  | { readonly id: number; readonly kind: 'commit'; readonly statements: readonly Statement[] }
  | { readonly id: number; readonly kind: 'truncate'; readonly busyMs: number }
  | { readonly id: number; readonly kind: 'close' };

export interface QueryReply {
  readonly rows: Record<string, unknown>[];
  readonly changes: number;
}

/** Copying a text between threads takes a fraction of the time that copying as many objects takes. */
export interface EncodedReply {
  readonly columns: readonly string[];
  /** The values of each row, in the order of the columns: as JSON if JSON can hold them and all are short. */
  readonly rows: string | readonly (readonly unknown[])[];
  readonly changes: number;
}

export type StorageReply =
  | { readonly id: number; readonly ok: EncodedReply }
  | { readonly id: number; readonly error: { message: string; code: string; errcode: number } };

const FULL = 2;
/** How long a statement waits for other connections. */
const BUSY_MS = 5_000;

const { file, readOnly } = workerData as { file: string; readOnly: boolean };
const port = parentPort;
if (!port) throw new Error('sqlite-thread.js runs as a worker thread only. This is a bug.');

const database = open();
const prepared = new PreparedStatements(database);
const beginning = database.prepare('begin immediate');
const committing = database.prepare('commit');
port.on('message', (request: StorageRequest) => port.postMessage(answer(request)));

function open(): DatabaseSync {
  faultPoint('sqlite.open'); // @fault
  const opened = new DatabaseSync(file, { timeout: BUSY_MS, readOnly });
  // Without FULL, a power failure can lose acknowledged rows.
  const pragmas = ['journal_mode=WAL', 'synchronous=FULL', 'foreign_keys=ON', 'wal_autocheckpoint=4000'];
  // What is deleted is overwritten.
  for (const pragma of [...pragmas, 'secure_delete=ON']) {
    if (!readOnly || !pragma.startsWith('journal_mode')) opened.exec(`pragma ${pragma}`);
  }
  // A call into JavaScript is where a thread can be ended in the middle of a statement.
  opened.function('interruptible', () => 1);
  if (opened.prepare('pragma synchronous').get()?.['synchronous'] !== FULL)
    throw new Error('SQLite did not accept synchronous=FULL.');
  return opened;
}

function answer(request: StorageRequest): StorageReply {
  try {
    return { id: request.id, ok: perform(request) };
  } catch (error) {
    const { message, code, errcode } = error as { message: string; code?: string; errcode?: number };
    return { id: request.id, error: { message, code: code ?? 'UNKNOWN', errcode: errcode ?? 0 } };
  }
}

function perform(request: StorageRequest): EncodedReply {
  if (request.kind === 'query') return query(request.sql, request.parameters);
  if (request.kind === 'truncate') return truncate(request.busyMs);
  if (request.kind === 'commit') commit(request.statements);
  else database.close();
  return changed(0);
}

function changed(changes: number): EncodedReply {
  return { columns: [], rows: [], changes };
}

function query(sql: string, parameters: readonly unknown[]): EncodedReply {
  const bound = values(parameters);
  const { statement, columns } = prepared.prepare(sql, bound);
  if (!readOnly) faultPoint('sqlite.write.query'); // @fault
  if (readOnly) faultPoint('sqlite.read'); // @fault
  if (columns.length === 0) return changed(Number(statement.run(...bound).changes));
  // `PreparedStatements` has asked for arrays.
  const rows = statement.all(...bound) as unknown as SQLOutputValue[][];
  return { columns, rows: rows.every((row) => row.every(isShort)) ? JSON.stringify(rows) : rows, changes: 0 };
}

/** Empties the write-ahead log, unless readers are in its way for longer than this: `busy` says whether they were. */
function truncate(busyMs: number): EncodedReply {
  database.exec(`pragma busy_timeout=${busyMs}`);
  try {
    return query('pragma wal_checkpoint(truncate)', []);
  } finally {
    database.exec(`pragma busy_timeout=${BUSY_MS}`);
  }
}

const SHORT_CHARACTERS = 1_000;

/** Whether a value is the same after a round trip through JSON, which takes longer than a copy if a text is long. */
function isShort(value: SQLOutputValue): boolean {
  if (typeof value === 'string') return value.length <= SHORT_CHARACTERS;
  return value === null || Number.isFinite(value);
}

/** Either all statements become durable or none does. */
function commit(statements: readonly Statement[]): void {
  faultPoint('sqlite.write.begin'); // @fault
  beginning.run();
  try {
    for (const { sql, rows } of statements) {
      const bound = rows.map(values);
      // The statement keeps the values of the last row.
      const { statement } = prepared.prepare(sql, bound.at(-1) ?? []);
      for (const row of bound) {
        faultPoint('sqlite.write.row'); // @fault
        statement.run(...row);
      }
    }
    faultPoint('sqlite.write.commit'); // @fault
    committing.run();
    faultPoint('sqlite.committed'); // @fault
  } catch (error) {
    if (database.isTransaction) database.exec('rollback');
    throw error;
  }
}

/** node:sqlite would take an object in the first position for named parameters, and shift the values by one column. */
function values(parameters: readonly unknown[]): SQLInputValue[] {
  const [first] = parameters;
  if (typeof first === 'object' && first !== null && !ArrayBuffer.isView(first))
    throw new TypeError('The first parameter is an object, not an SQL value. This is a bug.');
  return parameters.map(sqlValue);
}

function sqlValue(value: unknown): SQLInputValue {
  if (typeof value === 'boolean') return Number(value);
  if (isToSeal(value)) return seal(value.seal, Buffer.from(value.key, 'base64'), value.address);
  return value as SQLInputValue;
}
