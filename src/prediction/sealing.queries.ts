/** SQL that seals rows of earlier releases. It acts for the server itself, on the predictions of all principals. */
import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { PredictionDatabase } from '../storage/database.js';
import type { Insert } from '../storage/group-commit.js';
import type { PredictionTable } from '../storage/migrations/prediction.table.js';
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
  { data_key, ...columns }: SealedColumns & { readonly input_sha256: string | null },
): Insert {
  const set = { data_key, ...(columns as unknown as Partial<PredictionTable>) };
  const query = db.updateTable('prediction').set(set).where('id', '=', id).where('data_key', 'is', null);
  const { sql: text, parameters } = query.compile();
  return { sql: text, row: parameters };
}
