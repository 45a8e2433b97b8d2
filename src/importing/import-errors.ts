/** Which errors of an import belong to its folder. They end neither the start of the server nor the import of other folders. */
import { AppError, ManifestError, RetriedImportError } from '../errors.js';
import { SqliteError } from '../storage/sqlite-error.js';

/** @throws the error if it is one of the database or of a full disk */
export function errorOfFolder(error: unknown): ManifestError {
  if (error instanceof ManifestError) return error;
  if (error instanceof SqliteError || error instanceof AppError) throw error;
  return new RetriedImportError(`unexpected error: ${error instanceof Error ? error.message : error}`, {
    cause: error,
  });
}

/** The server stops. This says nothing about the folder, which is imported at the next start. */
export class ImportStoppedError extends RetriedImportError {
  constructor() {
    super('the server was stopped during the import');
  }
}

/** The reason, with what happens next. */
export function reasonOf(error: ManifestError): string {
  return error instanceof RetriedImportError ? `${error.message}; the import is retried` : error.message;
}
