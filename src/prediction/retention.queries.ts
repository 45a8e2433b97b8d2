/** SQL of the sweeper. It acts for the server itself, on the predictions of all principals. */
import type { PredictionDatabase } from '../storage/database.js';
import { firstIdAt } from '../storage/ids.js';

interface Expired {
  readonly id: string;
  readonly version_id: string;
  readonly input_sha256: string | null;
}

/** The oldest predictions after the id `after` that were made before `cutoff`, of one version or of all. */
export async function findPredictionsBefore(
  db: PredictionDatabase,
  { cutoff, after, versionId, limit }: { cutoff: number; after: string; versionId: string | null; limit: number },
): Promise<Expired[]> {
  return db
    .selectFrom('prediction')
    .select(['id', 'version_id', 'input_sha256'])
    .$if(versionId !== null, (q) => q.where('version_id', '=', versionId as string))
    .where('id', '>', after)
    .where('id', '<', firstIdAt('Prediction', cutoff))
    .orderBy('id')
    .limit(limit)
    .execute();
}

export async function findBlobsInUse(db: PredictionDatabase, digests: readonly string[]): Promise<Set<string>> {
  if (digests.length === 0) return new Set();
  const rows = await db
    .selectFrom('prediction')
    .select('input_sha256 as digest')
    .where('input_sha256', 'in', digests)
    .union(db.selectFrom('picture').select('sha256 as digest').where('sha256', 'in', digests))
    .execute();
  return new Set(rows.flatMap(({ digest }) => digest ?? []));
}

/** Deletes up to `limit` keys and returns how many. */
export async function deleteIdempotencyBefore(db: PredictionDatabase, cutoff: number, limit: number): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('idempotency')
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('principal_id', 'key'),
        'in',
        selectFrom('idempotency')
          .select(['principal_id', 'key'])
          .where('created_at', '<', cutoff)
          .limit(limit)
          .$asTuple('principal_id', 'key'),
      ),
    )
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}
