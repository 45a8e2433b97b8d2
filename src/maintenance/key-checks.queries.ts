/**
 * Data keys that the master key does not decrypt, and predictions that were encrypted with the data keys of another file: nobody
 * can read them.
 */
import { StartupError } from '../errors.js';
import { opensWith, type SealedRow } from '../prediction/sealed-contents.js';
import { DATABASE_FILES, KEYS_FILE, type KeyTables, type PredictionTables } from '../storage/database.js';
import { openSnapshot, type Snapshot } from '../storage/snapshot.js';
import { DataKey, NO_USES } from '../vault/data-key.js';
import type { StoredKey } from '../vault/data-key.queries.js';
import { unwrapped } from '../vault/data-keys.js';
import { type MasterKey, type MasterKeySettings, MasterKeys } from '../vault/master-keys.js';
import type { Problem } from './problem.js';

type Masters = Pick<MasterKeys, 'find' | 'source'>;

/** There must be a file of keys. @throws StartupError if a file cannot be read */
export async function* unreadableKeys(dataDir: string, settings: MasterKeySettings): AsyncGenerator<Problem> {
  // Earlier than the keys: a key is on disk before its first use.
  const predictions = openSnapshot<PredictionTables>(dataDir, DATABASE_FILES.predictions);
  let keys: Snapshot<KeyTables> | null = null;
  try {
    const masters = new MasterKeys(settings, dataDir);
    // Before and after: a rotation meanwhile replaces the master key, and wraps the data keys again in between.
    const before = await keysOf(masters);
    keys = openSnapshot<KeyTables>(dataDir, KEYS_FILE);
    const known = new Map([...before, ...(await keysOf(masters))]);
    const all = { source: masters.source, find: (id: string) => known.get(id) };
    for (const message of [...wrongKeys(keys, all), ...ofOtherKeys(predictions, keys, all)]) yield problemOf(message);
  } finally {
    keys?.close();
    predictions.close();
  }
}

/** Without a master key, every data key needs another one. */
async function keysOf(masters: MasterKeys): Promise<[string, MasterKey][]> {
  await masters.load().catch((error) => {
    if (!(error instanceof StartupError)) throw error;
  });
  return masters.all.map((key) => [key.id, key]);
}

function problemOf(message: string): Problem {
  return { code: 'KEYS_UNREADABLE', where: KEYS_FILE.name, message, repair: null };
}

/** Those that an erasure has overwritten are not wrong. */
function* wrongKeys(keys: Snapshot<KeyTables>, masters: Masters): Generator<string> {
  const [current] = keys.rows<{ master_id: string }>('select master_id from master_key');
  let [count, ofOthers, damaged] = [0, 0, 0];
  for (const key of keys.rows<StoredKey>('select * from data_key where length(wrapped) > 0')) {
    count++;
    if (!masters.find(key.master_id)) ofOthers++;
    else if (!unwrapped(key, masters)) damaged++;
  }
  if (ofOthers > 0 || (current && !masters.find(current.master_id)))
    yield `${ofOthers} of ${count} data keys are encrypted with another master key than that of ${masters.source}`;
  if (damaged > 0) yield `${damaged} of ${count} data keys are not what was stored`;
}

/** Tries the oldest and the newest prediction of each key. */
function* ofOtherKeys(
  predictions: Snapshot<PredictionTables>,
  keys: Snapshot<KeyTables>,
  masters: Masters,
): Generator<string> {
  const [made] = keys.rows<{ seq: number }>("select seq from sqlite_sequence where name = 'data_key'");
  const used = predictions.rows<{ data_key: number; oldest: string; newest: string }>(
    'select data_key, min(id) as oldest, max(id) as newest from prediction where data_key is not null group by data_key',
  );
  let wrong = 0;
  for (const { data_key, oldest, newest } of used) {
    const [stored] = keys.rows<StoredKey>('select * from data_key where id = ?', data_key);
    const bytes = stored && unwrapped(stored, masters);
    // Ids of keys are never used again: an earlier one that is not there was destroyed.
    if (!bytes) wrong += !stored && data_key > (made?.seq ?? 0) ? 1 : 0;
    else {
      const key = new DataKey({ id: data_key, bytes, ...NO_USES });
      const rows = predictions.rows<SealedRow>(SEALED, oldest, newest);
      wrong += [...rows].every((row) => opensWith(row, key)) ? 0 : 1;
    }
  }
  if (wrong > 0) yield `predictions of ${wrong} data keys are encrypted with those of another ${KEYS_FILE.name}`;
}

const SEALED = 'select id, principal_id, sealed from prediction where id in (?, ?)';
