/**
 * Predictions whose keys were destroyed: those of a backup that is older than their erasure. What they say is unreadable, but
 * that they were made, and by their digests what their labels are, can still be told.
 */
import { deletePredictions } from '../prediction/erasure.queries.js';
import { findBlobsOfPictures } from '../prediction/picture.queries.js';
import {
  DATABASE_FILES,
  type Databases,
  KEYS_FILE,
  type KeyTables,
  type PredictionTables,
} from '../storage/database.js';
import { openSnapshot, type Snapshot } from '../storage/snapshot.js';
import type { Problem, RepairParts } from './problem.js';

const ROWS_A_STEP = 500;

/** There must be a file of keys. @throws StartupError if a file cannot be read */
export function* erasedPredictions(dataDir: string): Generator<Problem> {
  const keys = openSnapshot<KeyTables>(dataDir, KEYS_FILE);
  try {
    // Later than the keys: the rows of a key are deleted before the key is forgotten.
    const predictions = openSnapshot<PredictionTables>(dataDir, DATABASE_FILES.predictions);
    try {
      const last = lastKey(keys);
      const count = countErased(predictions, keys, last);
      if (count === 0) return;
      const message = `${count} predictions are encrypted with keys that were destroyed after they were recorded`;
      const beside = ({ databases, blobs }: RepairParts) => deleteErased(databases, blobs, last);
      yield { code: 'ERASED_LEFT', where: 'predictions', message, repair: { does: 'deletes them', beside } };
    } finally {
      predictions.close();
    }
  } finally {
    keys.close();
  }
}

/** Ids of keys are never used again: later ones, which rows of another folder have, were not made here, so they were not destroyed. */
function lastKey(keys: Snapshot<KeyTables>): number {
  const [made] = keys.rows<{ seq: number }>("select seq from sqlite_sequence where name = 'data_key'");
  return made?.seq ?? 0;
}

function countErased(predictions: Snapshot<PredictionTables>, keys: Snapshot<KeyTables>, last: number): number {
  const used = predictions.rows<{ data_key: number; count: number }>(
    'select data_key, count(*) as count from prediction where data_key <= ? group by data_key',
    last,
  );
  let erased = 0;
  for (const { data_key, count } of used)
    if ([...keys.rows('select 1 from data_key where id = ?', data_key)].length === 0) erased += count;
  return erased;
}

type Blobs = Pick<RepairParts['blobs'], 'deleteUnused'>;

async function deleteErased({ keyDb, predictionDb, predictionsFile }: Databases, blobs: Blobs, last: number) {
  for (let after = ''; ; ) {
    const rows = await predictionDb
      .selectFrom('prediction')
      .select(['id', 'data_key', 'input_sha256'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(ROWS_A_STEP)
      .execute();
    const ids = [...new Set(rows.flatMap(({ data_key }) => data_key ?? []))];
    const known = await keyDb.selectFrom('data_key').select('id').where('id', 'in', ids).execute();
    const gone = new Set(ids.filter((id) => id <= last)).difference(new Set(known.map(({ id }) => id)));
    const erased = rows.filter(({ data_key }) => data_key !== null && gone.has(data_key));
    for (const { input_sha256 } of erased)
      if (input_sha256 !== null) await blobs.deleteUnused(input_sha256, Number.POSITIVE_INFINITY);
    const deleted = erased.map(({ id }) => id);
    for (const digest of await findBlobsOfPictures(predictionDb, deleted))
      await blobs.deleteUnused(digest, Number.POSITIVE_INFINITY);
    await deletePredictions(predictionDb, deleted);
    if (rows.length < ROWS_A_STEP) break;
    after = rows.at(-1)?.id ?? '';
  }
  await predictionsFile.truncateLog();
}
