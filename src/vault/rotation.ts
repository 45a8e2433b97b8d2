/**
 * Replaces the master key, while a server may be running: data keys are wrapped again, what they have sealed stays as it is.
 *
 * 1. The file of the master key gets the new key before the old one.
 * 2. From then on, new data keys are wrapped with the new key: a server that does not have it reads the file again.
 * 3. Data keys are wrapped again, in steps.
 * 4. The old key is removed from the file.
 *
 * If a command prints the keys, the operator does steps 1 and 4.
 *
 * A rotation that was interrupted goes on from the keys in the file.
 */
import { StartupError } from '../errors.js';
import { faultPoint } from '../fault-points.js'; // @fault
import type { KeyDatabase } from '../storage/database.js';
import type { SqliteFile } from '../storage/sqlite.js';
import { findCurrentMaster, findKeysOfOtherMasters, rewrapKey, setCurrentMaster } from './data-key.queries.js';
import { unwrapped, wrap } from './data-keys.js';
import { type MasterKey, type MasterKeys, newMasterKey } from './master-keys.js';

const KEYS_A_STEP = 500;

interface Parts {
  readonly db: KeyDatabase;
  readonly file: SqliteFile;
  readonly masters: MasterKeys;
  /** Called with the ids of the old and the new key, before the new one is used. */
  readonly note: (before: string, after: string) => Promise<void>;
}

/** Returns the number of data keys that were wrapped again. @throws StartupError that says what to do */
export async function rotateMasterKey({ db, file, masters, note }: Parts): Promise<number> {
  if (masters.file === null && masters.command === null)
    throw new StartupError(
      'MASTER_KEY is in the environment, where a running server cannot get another one: write it into a file, set MASTER_KEY_FILE in its place, and restart the server.',
    );
  await masters.load();
  const current = await findCurrentMaster(db);
  if (current === null) throw new StartupError('there is no key to replace: start the server first');
  const old = masters.find(current);
  if (!old) throw new StartupError('the master key is not the one that the data folder is encrypted with');
  const key = await newestKey(masters, old);
  faultPoint('rotation.keyWritten'); // @fault
  if (key.id !== current) {
    await note(current, key.id);
    await setCurrentMaster(db, key.id);
  }
  faultPoint('rotation.begun'); // @fault
  const count = await wrapAll(db, masters, key);
  // What was wrapped with the old key is still in the write-ahead log.
  await file.truncateLog();
  // Step 4; what a command prints is up to the operator.
  if (masters.file !== null) await masters.write([key]);
  return count;
}

/** The first key of the file, if it has several: the rotation was begun, or the operator has written a key of their own. */
async function newestKey(masters: MasterKeys, old: MasterKey): Promise<MasterKey> {
  const [first = old, ...others] = masters.all;
  if (others.length > 0) return first;
  if (masters.file === null)
    throw new StartupError('MASTER_KEY_COMMAND prints one key: let it print the new key on a line before that one');
  const key = newMasterKey();
  await masters.write([key, old]);
  return key;
}

async function wrapAll(db: KeyDatabase, masters: MasterKeys, key: MasterKey): Promise<number> {
  for (let count = 0; ; ) {
    const wrapped = await db.transaction().execute(async (trx) => {
      const rows = await findKeysOfOtherMasters(trx, key.id, KEYS_A_STEP);
      for (const row of rows) {
        const isErased = row.wrapped.length === 0;
        const bytes = unwrapped(row, masters);
        if (!bytes && !isErased)
          throw new StartupError(`data key ${row.id} is wrapped with a master key that is not in ${masters.source}`);
        await rewrapKey(trx, { id: row.id, master_id: key.id, wrapped: bytes ? wrap(row, bytes, key) : row.wrapped });
      }
      return rows.length;
    });
    faultPoint('rotation.step'); // @fault
    count += wrapped;
    if (wrapped < KEYS_A_STEP) return count;
  }
}
