/** SQL that seals rows of earlier releases. It acts for the server itself, on the predictions of all principals. */
import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { PredictionDatabase } from '../storage/database.js';
import type { Insert } from '../storage/group-commit.js';
import type { IdempotencyTable, PredictionTable } from '../storage/migrations/prediction.table.js';
import type { Sealing } from '../vault/data-keys.js';
import { idempotencyDigests } from './prediction.queries.js';
import type { SealedColumns } from './sealed-contents.js';

/** The oldest rows that are not sealed, with their sizes in bytes. */
export async function findUnsealedSizes(
  db: PredictionDatabase,
  limit: number,
): Promise<{ id: string; bytes: number }[]> {
  return db
    .selectFrom('prediction')
    .select(['id', sql<number>`octet_length(answer) + coalesce(octet_length(input), 0)`.as('bytes')])
    .where('data_key', 'is', null)
    .orderBy('id')
    .limit(limit)
    .execute();
}

export async function findUnsealed(
  db: PredictionDatabase,
  ids: readonly string[],
): Promise<Selectable<PredictionTable>[]> {
  return db.selectFrom('prediction').selectAll().where('id', 'in', ids).where('data_key', 'is', null).execute();
}

/** For the group commit, whose thread seals what is to be sealed. */
export function sealingUpdate(
  db: PredictionDatabase,
  id: string,
  { data_key, ...columns }: SealedColumns & Pick<PredictionTable, 'input_sha256' | 'label'>,
): Insert {
  const set = { data_key, ...(columns as unknown as Partial<PredictionTable>) };
  const query = db.updateTable('prediction').set(set).where('id', '=', id).where('data_key', 'is', null);
  const { sql: text, parameters } = query.compile();
  return { sql: text, row: parameters };
}

/** The idempotency keys of these predictions, which are stored as they were sent. */
export async function findPlainClaims(db: PredictionDatabase, ids: readonly string[]): Promise<IdempotencyTable[]> {
  return db.selectFrom('idempotency').selectAll().where('prediction_id', 'in', ids).execute();
}

/** For the commit that seals its prediction. */
export function claimUpdate(
  db: PredictionDatabase,
  { principal_id, key, request_sha256: requestSha256 }: IdempotencyTable,
  sealing: Sealing,
): Insert {
  const query = db
    .updateTable('idempotency')
    .set(idempotencyDigests({ key, requestSha256 }, sealing))
    .where('principal_id', '=', principal_id)
    .where('key', '=', key);
  const { sql: text, parameters } = query.compile();
  return { sql: text, row: parameters };
}
