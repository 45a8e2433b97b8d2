/**
 * A disk that is full, failing or read-only, as a problem that the caller can act on.
 */
import { StorageFullError } from '../errors.js';

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

/** SQLite's result codes for a database that is busy, read-only, failing, full or cannot be opened. */
const DISK_RESULT_CODES = new Set([5, 8, 10, 13, 14]);
const DISK_ERRORS = new Set(['ENOSPC', 'EIO', 'EMFILE', 'ENFILE', 'EROFS', 'EDQUOT']);

/** @throws StorageFullError for a failure of the disk, else what it was given */
export function throwAsProblem(error: unknown): never {
  const { code } = error as NodeJS.ErrnoException;
  const isDisk =
    error instanceof SqliteError ? DISK_RESULT_CODES.has(error.errcode & 0xff) : DISK_ERRORS.has(code ?? '');
  throw isDisk ? new StorageFullError({ cause: error }) : error;
}
