/** SQL of samples of the predictions of a version. */
import { sql } from 'kysely';
import type { Principal } from '../access/principal.js';
import type { PredictionDatabase } from '../storage/database.js';
import { firstIdAt } from '../storage/ids.js';
import { idsIn, idsOf, interruptible, limitOf } from '../storage/sql.js';
import { type LiveWindow, measuredOwner } from './outcome.queries.js';
import type { StoredColumns } from './sealed-contents.js';

/** The end of an id: 40 bits that are random. */
const RANDOM_CHARACTERS = 10;

/**
 * Ids of up to `size` predictions, each as likely as the others, of the newest `scanned` in the window, with those of all accounts.
 * The same predictions make the same sample.
 */
export async function findSampledIds(
  db: PredictionDatabase,
  principal: Principal,
  { versionId, since }: LiveWindow,
  { scanned, size }: { readonly scanned: number; readonly size: number },
): Promise<string[]> {
  const owner = measuredOwner(principal);
  const newest = db
    .selectFrom('prediction')
    .select(['id', 'principal_id'])
    .where('version_id', '=', versionId)
    .where('id', '>=', firstIdAt('Prediction', since))
    .where(interruptible())
    .orderBy('id', 'desc')
    .limit(limitOf(scanned))
    .as('newest');
  const rows = await db
    .selectFrom(newest)
    .select('id')
    .$if(owner !== null, (q) => q.where('principal_id', '=', owner as string))
    .orderBy(sql`substr(id, ${-RANDOM_CHARACTERS})`)
    .orderBy('id')
    .limit(limitOf(size))
    .execute();
  return rows.map(({ id }) => id);
}

/** What the inputs and answers of these predictions are stored in. */
export async function findSampled(
  db: PredictionDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<StoredColumns[]> {
  const owner = measuredOwner(principal);
  return db
    .selectFrom('prediction')
    .select(['id', 'principal_id', 'data_key', 'input_sha256', 'input', 'answer', 'sealed', 'sealed_answer'])
    .where('id', 'in', idsIn(idsOf(ids)))
    .$if(owner !== null, (q) => q.where('principal_id', '=', owner as string))
    .execute();
}
