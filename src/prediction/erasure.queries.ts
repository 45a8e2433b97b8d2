/** SQL of erasures: what is to be erased, in the catalog, and the rows that are. It acts for the server itself. */
import type { Selectable, Transaction } from 'kysely';
import type { CatalogDatabase, CatalogTables, PredictionDatabase } from '../storage/database.js';
import { firstIdAt } from '../storage/ids.js';
import type { ErasureTable } from '../storage/migrations/catalog.table.js';
import { idsIn, idsOf, rowCount } from '../storage/sql.js';

export type StoredErasure = Selectable<ErasureTable>;

export async function insertErasure(trx: Transaction<CatalogTables>, erasure: StoredErasure): Promise<void> {
  await trx.insertInto('erasure').values(erasure).execute();
}

/** Those after the id `after`, in the order in which they were requested. */
export async function findUnfinishedErasures(
  db: CatalogDatabase,
  after: string,
  limit: number,
): Promise<StoredErasure[]> {
  const unfinished = db.selectFrom('erasure').selectAll().where('finished_at', 'is', null).where('id', '>', after);
  return unfinished.orderBy('id').limit(limit).execute();
}

/** How many are unfinished that find their predictions by keys: those of named predictions do not. */
export async function countUnfinishedByKeys(db: CatalogDatabase): Promise<number> {
  const unfinished = db.selectFrom('erasure').where('finished_at', 'is', null).where('predictions', 'is', null);
  return (await unfinished.select(rowCount().as('count')).executeTakeFirstOrThrow()).count;
}

export async function findErasure(db: CatalogDatabase, id: string): Promise<StoredErasure | undefined> {
  return db.selectFrom('erasure').selectAll().where('id', '=', id).executeTakeFirst();
}

/** `deleted` and `left_in_backups`: more than were known. */
export async function updateErasure(
  db: CatalogDatabase,
  id: string,
  { deleted, left_in_backups, finished_at }: Pick<StoredErasure, 'deleted' | 'left_in_backups' | 'finished_at'>,
): Promise<void> {
  await db
    .updateTable('erasure')
    .set((eb) => ({
      deleted: eb('deleted', '+', deleted),
      left_in_backups: eb('left_in_backups', '+', left_in_backups),
      finished_at,
    }))
    .where('id', '=', id)
    .execute();
}

export interface ErasedRow {
  readonly id: string;
  readonly principal_id: string;
  readonly created_at: number;
  readonly data_key: number | null;
  readonly input_sha256: string | null;
}

/** Those of the ids that are predictions of the account. */
export async function findOwnIds(db: PredictionDatabase, account: string, ids: readonly string[]): Promise<string[]> {
  const query = db.selectFrom('prediction').select('id').where('principal_id', '=', account);
  const rows = await query.where('id', 'in', idsIn(idsOf(ids))).execute();
  return rows.map(({ id }) => id);
}

/** The id of the newest prediction; empty if there is none. The clock may have been set back since. */
export async function findNewestId(db: PredictionDatabase): Promise<string> {
  return (await db.selectFrom('prediction').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst())?.id ?? '';
}

/**
 * Predictions that may have to be erased, oldest first; of a range of time, those after the id `after` and up to `last`. Those of
 * other accounts too: no index has the account, and looking for the next ones of a small one may take longer than a read may.
 */
export async function findRowsToErase(
  db: PredictionDatabase,
  { made_from, made_before, predictions }: Pick<StoredErasure, 'made_from' | 'made_before' | 'predictions'>,
  { after, last, limit }: { readonly after: string; readonly last: string; readonly limit: number },
): Promise<ErasedRow[]> {
  const query = db
    .selectFrom('prediction')
    .select(['id', 'principal_id', 'created_at', 'data_key', 'input_sha256'])
    .orderBy('id')
    .limit(limit);
  if (predictions !== null) return query.where('id', 'in', idsIn(predictions)).execute();
  const [from, before] = [firstIdAt('Prediction', made_from), firstIdAt('Prediction', made_before)];
  // One condition at each end: with two, SQLite looks for the first row by either of them.
  return (after < from ? query.where('id', '>=', from) : query.where('id', '>', after))
    .where((eb) => (last < before ? eb('id', '<=', last) : eb('id', '<', before)))
    .execute();
}

/**
 * Deletes predictions with their images, labels and outcomes, and the idempotency keys that would replay them. Returns how many, and the blobs of the
 * images.
 */
export async function deletePredictions(
  db: PredictionDatabase,
  ids: readonly string[],
): Promise<{ readonly count: number; readonly digests: readonly string[] }> {
  if (ids.length === 0) return { count: 0, digests: [] };
  const deleted = idsIn(idsOf(ids));
  return db.transaction().execute(async (trx) => {
    const pictures = await trx
      .deleteFrom('picture')
      .where('prediction_id', 'in', deleted)
      .returning('sha256')
      .execute();
    for (const table of ['idempotency', 'answer_label', 'outcome'] as const)
      await trx.deleteFrom(table).where('prediction_id', 'in', deleted).execute();
    const { numDeletedRows } = await trx.deleteFrom('prediction').where('id', 'in', deleted).executeTakeFirstOrThrow();
    return { count: Number(numDeletedRows), digests: pictures.flatMap(({ sha256 }) => sha256 ?? []) };
  });
}

/** Whether there is a prediction that was made from the first time on and before the second one. */
export async function hasPredictionsBetween(db: PredictionDatabase, from: number, before: number): Promise<boolean> {
  const found = await db
    .selectFrom('prediction')
    .select('id')
    .where('id', '>=', firstIdAt('Prediction', from))
    .where('id', '<', firstIdAt('Prediction', before))
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}
