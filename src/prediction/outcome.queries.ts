/** SQL of outcomes. Each belongs to the account of its prediction, is stored only while the prediction is, and ends with it. */
import { type Selectable, sql } from 'kysely';
import { allows } from '../access/policy.js';
import type { Principal } from '../access/principal.js';
import { readableOwner } from '../access/visibility.js';
import type { PredictionDatabase } from '../storage/database.js';
import type { Insert } from '../storage/group-commit.js';
import { firstIdAt } from '../storage/ids.js';
import type { OutcomeTable, PredictionTable } from '../storage/migrations/prediction.table.js';
import { interruptible, limitOf, rowCount } from '../storage/sql.js';

/** The key that a prediction of the account is sealed with. */
export async function findKeyOfPrediction(
  db: PredictionDatabase,
  principal: Principal,
  id: string,
): Promise<Pick<PredictionTable, 'data_key' | 'created_at'> | undefined> {
  const query = db.selectFrom('prediction').select(['data_key', 'created_at']).where('id', '=', id);
  return query.where('principal_id', '=', readableOwner(principal)).executeTakeFirst();
}

export type NewOutcome = Pick<OutcomeTable, 'prediction_id' | 'data_key' | 'recorded_at' | 'sealed'>;

/** For the group commit. Stores nothing if the prediction does not exist anymore; replaces an earlier outcome, but not its time. */
export function outcomeInsert(
  db: PredictionDatabase,
  principal: Principal,
  { prediction_id, data_key, recorded_at, sealed }: NewOutcome,
): Insert {
  const row = db
    .selectFrom('prediction')
    .select([
      'id',
      'version_id',
      'principal_id',
      sql<number>`${data_key}`.as('data_key'),
      sql<number>`${recorded_at}`.as('first_recorded_at'),
      sql<number>`${recorded_at}`.as('recorded_at'),
      sql<Uint8Array>`${sealed}`.as('sealed'),
    ])
    .where('id', '=', prediction_id)
    .where('principal_id', '=', readableOwner(principal));
  const { sql: text, parameters } = db
    .insertInto('outcome')
    .columns(['prediction_id', 'version_id', 'principal_id', 'data_key', 'first_recorded_at', 'recorded_at', 'sealed'])
    .expression(row)
    .onConflict((conflict) =>
      conflict.column('prediction_id').doUpdateSet(({ ref }) => ({
        data_key: ref('excluded.data_key'),
        recorded_at: ref('excluded.recorded_at'),
        sealed: ref('excluded.sealed'),
      })),
    )
    .compile();
  return { sql: text, row: parameters };
}

export type OutcomeRow = Selectable<Omit<OutcomeTable, 'version_id'>>;

const COLUMNS = ['prediction_id', 'principal_id', 'data_key', 'first_recorded_at', 'recorded_at', 'sealed'] as const;

export async function findOutcomes(
  db: PredictionDatabase,
  principal: Principal,
  ids: readonly string[],
): Promise<OutcomeRow[]> {
  const query = db.selectFrom('outcome').select(COLUMNS).where('prediction_id', 'in', ids);
  return query.where('principal_id', '=', readableOwner(principal)).execute();
}

/** The predictions of a version that were made from a time on, in milliseconds since 1970. */
export interface LiveWindow {
  readonly versionId: string;
  readonly since: number;
}

/**
 * The account whose outcomes are measured for the principal; null for all accounts. From a metric of few outcomes, and from its
 * changes, a single one can be told: so those of others are for administrators only.
 */
export function measuredOwner(principal: Principal): string | null {
  return allows('operate', principal) ? null : readableOwner(principal);
}

/** Outcomes of predictions before the id `before`, newest predictions first. */
export async function findLiveOutcomes(
  db: PredictionDatabase,
  principal: Principal,
  { versionId, since }: LiveWindow,
  { before, limit }: { readonly before: string; readonly limit: number },
): Promise<OutcomeRow[]> {
  const owner = measuredOwner(principal);
  return db
    .selectFrom('outcome')
    .select(COLUMNS)
    .where('version_id', '=', versionId)
    .$if(owner !== null, (q) => q.where('principal_id', '=', owner as string))
    .where('prediction_id', '>=', firstIdAt('Prediction', since))
    .where('prediction_id', '<', before)
    .orderBy('prediction_id', 'desc')
    .limit(limitOf(limit))
    .execute();
}

/** How many recorded predictions a window has; null if it has more than `most`, with those of all accounts. */
export async function countLivePredictions(
  db: PredictionDatabase,
  principal: Principal,
  { versionId, since }: LiveWindow,
  most: number,
): Promise<number | null> {
  const owner = measuredOwner(principal);
  const made = db
    .selectFrom('prediction')
    .select('principal_id')
    .where('version_id', '=', versionId)
    .where('id', '>=', firstIdAt('Prediction', since))
    .where(interruptible())
    .limit(limitOf(most + 1))
    .as('made');
  const isOwn = owner === null ? sql`1` : sql`principal_id = ${owner}`;
  const { all, own } = await db
    .selectFrom(made)
    .select([rowCount().as('all'), sql<number>`cast(coalesce(sum(${isOwn}), 0) as integer)`.as('own')])
    .executeTakeFirstOrThrow();
  return all > most ? null : own;
}
