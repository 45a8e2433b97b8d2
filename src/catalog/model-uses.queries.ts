/** SQL that writes when accounts last used models. It acts for the server itself. */
import { sql } from 'kysely';
import type { CatalogDatabase } from '../storage/database.js';

export interface DayOfUse {
  readonly account: string;
  readonly versionId: string;
  /** Days from 1970, in UTC. */
  readonly day: number;
}

/** Uses of versions that are deleted meanwhile are left out. */
export async function saveModelUses(db: CatalogDatabase, uses: readonly DayOfUse[]): Promise<void> {
  const rows = JSON.stringify(uses.map(({ account, versionId, day }) => [account, versionId, day]));
  const used = sql<{ account: string; version_id: string; day: number }>`(select value ->> 0 as account,
    value ->> 1 as version_id, value ->> 2 as day from json_each(${rows}))`;
  await db
    .insertInto('model_use')
    .columns(['account', 'model_id', 'used_on'])
    .expression(
      db
        .selectFrom(used.as('used'))
        .innerJoin('version', 'version.id', 'used.version_id')
        .select(({ fn }) => ['used.account', 'version.model_id', fn.max('used.day').as('used_on')])
        .groupBy(['used.account', 'version.model_id']),
    )
    .onConflict((conflict) =>
      conflict
        .columns(['account', 'model_id'])
        .doUpdateSet(({ ref }) => ({ used_on: ref('excluded.used_on') }))
        .whereRef('excluded.used_on', '>', 'model_use.used_on'),
    )
    .execute();
}

export async function deleteUsesBefore(db: CatalogDatabase, day: number): Promise<void> {
  await db.deleteFrom('model_use').where('used_on', '<', day).execute();
}
