/**
 * Allows one server per data folder. The lock is SQLite's own file lock on a small database with the process id, so the
 * operating system releases it when the process ends, however it ends.
 */
import { type StorageFullError, StoreLockedError } from '../errors.js';
import { SqliteFile } from './sqlite.js';
import { SqliteError } from './sqlite-error.js';

/** Waits at most so long for the process that holds the lock. @throws StoreLockedError */
export async function lockStore(file: string, waitMs: number): Promise<SqliteFile> {
  const lock = await SqliteFile.open(file);
  try {
    await lock.write(`pragma busy_timeout=${waitMs}`, []);
    await lock.write('create table if not exists holder (pid integer)', []);
    await lock.write('begin immediate', []);
    await lock.write('delete from holder', []);
    await lock.write('insert into holder values (?)', [process.pid]);
    await lock.write('commit', []);
    await lock.write('begin immediate', []);
    return lock;
  } catch (error) {
    const holder = await lock.write('select pid from holder', []).catch(() => null);
    await lock.close();
    const { cause } = error as StorageFullError;
    if (!(cause instanceof SqliteError && cause.is('busy'))) throw error;
    throw new StoreLockedError(file, Number(holder?.rows[0]?.['pid'] ?? 0));
  }
}
