/** SQL of what callers have used of their quotas. */
import { sql } from 'kysely';
import type { PredictionDatabase } from '../storage/database.js';
import type { QuotaUseTable } from '../storage/migrations/prediction.table.js';

/** What was used on this day, or on a later one if the clock was set back. */
export async function findQuotaUse(db: PredictionDatabase, day: number): Promise<QuotaUseTable[]> {
  return db.selectFrom('quota_use').selectAll().where('day', '>=', day).execute();
}

/**
 * Adds what was used to what is stored, in one transaction, and returns the result of each. What was used on the day before
 * the stored one changes nothing; a stored day that is later than that was the mistake of a clock.
 */
export async function addQuotaUse(db: PredictionDatabase, used: readonly QuotaUseTable[]): Promise<QuotaUseTable[]> {
  const added = (column: 'operations' | 'compute_ms' | 'bytes') => {
    const [stored, more] = [sql.ref(`quota_use.${column}`), sql.ref(`excluded.${column}`)];
    return sql`${sql.ref(column)} = case excluded.day
      when quota_use.day then ${stored} + ${more} when quota_use.day - 1 then ${stored} else ${more} end`;
  };
  const { rows } = await sql<QuotaUseTable>`
    insert into quota_use (caller, day, operations, compute_ms, bytes)
    select value ->> 'caller', value ->> 'day', value ->> 'operations', value ->> 'compute_ms', value ->> 'bytes'
    from json_each(${JSON.stringify(used)}) where true
    on conflict (caller) do update set ${added('operations')}, ${added('compute_ms')}, ${added('bytes')},
      day = case excluded.day when quota_use.day - 1 then quota_use.day else excluded.day end
    returning caller, day, operations, compute_ms, bytes`.execute(db);
  return rows;
}

/** For callers who have used nothing since. */
export async function deleteQuotaUseBefore(db: PredictionDatabase, day: number): Promise<void> {
  await db.deleteFrom('quota_use').where('day', '<', day).execute();
}
