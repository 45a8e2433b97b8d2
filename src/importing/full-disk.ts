/** A full disk during the import does not keep the server from starting: the rest of the catalog can answer. */
import type { Logger } from 'pino';
import { StorageFullError } from '../errors.js';

export const DISK_IS_FULL = 'the disk is full or cannot be written';

/** Resolves with the result of `work`; with null if the disk is full or cannot be written, which is logged. */
export async function unlessDiskIsFull<T>(
  log: Logger,
  what: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StorageFullError)) throw error;
    log.error({ ...what, err: error.cause }, `${DISK_IS_FULL}; the import is retried`);
    return null;
  }
}
