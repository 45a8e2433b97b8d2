/** SQL of the sweeper. It acts for the server itself, on the predictions of all principals. */
import type { PredictionDatabase } from '../storage/database.js';
import { firstIdAt } from '../storage/ids.js';

/** Deletes up to `limit` predictions of these versions made before `cutoff`. Returns the digests of their blobs. */
export async function deletePredictionsBefore(
  db: PredictionDatabase,
  versionIds: readonly string[],
  cutoff: number,
  limit: number,
): Promise<{ count: number; blobs: string[] }> {
  const old = await db
    .selectFrom('prediction')
    .select(['id', 'input_sha256'])
    .where('version_id', 'in', versionIds)
    .where('id', '<', firstIdAt('Prediction', cutoff))
    .limit(limit)
    .execute();
  const ids = old.map(({ id }) => id);
  if (ids.length > 0) await db.deleteFrom('prediction').where('id', 'in', ids).execute();
  return { count: ids.length, blobs: old.flatMap(({ input_sha256 }) => input_sha256 ?? []) };
}

export async function findBlobsInUse(db: PredictionDatabase, digests: readonly string[]): Promise<Set<string>> {
  if (digests.length === 0) return new Set();
  const rows = await db.selectFrom('prediction').select('input_sha256').where('input_sha256', 'in', digests).execute();
  return new Set(rows.flatMap(({ input_sha256 }) => input_sha256 ?? []));
}

export async function deleteIdempotencyBefore(db: PredictionDatabase, cutoff: number): Promise<void> {
  await db.deleteFrom('idempotency').where('created_at', '<', cutoff).execute();
}
