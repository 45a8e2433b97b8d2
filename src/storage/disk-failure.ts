/** Turns failures of the disk (full, failing or read-only) into an error that the caller can act on. */
import { StorageFullError } from '../errors.js';
import { SqliteError } from './sqlite-error.js';

const DISK_ERRORS = new Set(['ENOSPC', 'EFBIG', 'EIO', 'EMFILE', 'ENFILE', 'EROFS', 'EDQUOT']);

/** @throws StorageFullError for a failure of the disk, else the error it was given */
export function throwDiskFailureAsStorageFull(error: unknown): never {
  throw isDiskFailure(error) ? new StorageFullError({ cause: error }) : error;
}

function isDiskFailure(error: unknown): boolean {
  if (error instanceof SqliteError) return error.is('busy', 'readOnly', 'ioError', 'full', 'cannotOpen');
  return DISK_ERRORS.has((error as NodeJS.ErrnoException).code ?? '');
}
